#include "correlation/correlation_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                             \
  template void launch_correlation(const CorrelationShape&, const T*, const T*, T*, cudaStream_t); \
  template void launch_correlation_gradient(const CorrelationShape&, const T*, bool, const T*, T*, \
                                            cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
