#include "ps_roi_align/ps_roi_align_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                          \
  template void launch_ps_roi_align(Strided<const T>, const Extent&, const acc_t<T>*, int64_t,  \
                                    const RoiAlignOptions&, Strided<T>, cudaStream_t);          \
  template void launch_ps_roi_align_backward(Strided<const T>, const acc_t<T>*, int64_t,        \
                                             const RoiAlignOptions&, Strided<T>, const Extent&, \
                                             cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
