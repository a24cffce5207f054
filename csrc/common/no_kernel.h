// For ops whose CPU side needs no kernel of its own beyond what common/foreach_isa.h brings.
