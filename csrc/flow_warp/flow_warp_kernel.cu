#include "flow_warp/flow_warp_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                            \
  template void launch_flow_warp(const WarpShape&, Strided<const T>, const acc_t<T>*, Strided<T>, \
                                 cudaStream_t);                                                   \
  template void launch_flow_warp_scatter(const WarpShape&, Strided<const T>, const acc_t<T>*,     \
                                         Strided<acc_t<T>>, cudaStream_t);                        \
  template void launch_flow_warp_ordered_scatter(                                                 \
      const WarpShape&, Strided<const T>, const acc_t<T>*, Strided<acc_t<T>>, cudaStream_t);      \
  template void launch_flow_warp_flow_gradient(const WarpShape&, Strided<const T>,                \
                                               Strided<const T>, const acc_t<T>*, acc_t<T>*,      \
                                               cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
