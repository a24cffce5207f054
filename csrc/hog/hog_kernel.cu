#include "hog/hog_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                            \
  template void launch_hog(const HogArguments&, const T*, const HogBorders<acc_t<T>>&, acc_t<T>*, \
                           T*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
