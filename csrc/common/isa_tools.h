// Included by foreach_isa.h, once per instruction set. Each builds on those before it.
#include "common/madd.h"

#include "common/simd.h"

#include "common/vector_math.h"

#include "common/interleave.h"
