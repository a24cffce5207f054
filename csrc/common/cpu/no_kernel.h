// For ops whose CPU side needs no kernel of its own beyond what common/cpu/foreach_isa.h brings.
