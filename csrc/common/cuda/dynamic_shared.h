// How much dynamic shared memory a block of a kernel may have.
#pragma once

#include <cstddef>

namespace fastcv {

// From now on launches of `kernel` on the current device may ask for `bytes`. CUDA is told once for
// a kernel and device, and again only for more; an error of CUDA's is raised.
void allow_dynamic_shared(const void* kernel, size_t bytes);

}  // namespace fastcv
