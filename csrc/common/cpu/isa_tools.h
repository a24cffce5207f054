// Included by foreach_isa.h, once per instruction set. Each builds on those before it.
#include "common/cpu/madd.h"

#include "common/cpu/simd.h"

#include "common/cpu/vector_math.h"

#include "common/cpu/interleave.h"
