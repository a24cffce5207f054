#include "conv_transpose2d/conv_transpose2d_kernel.cuh"

namespace fastcv::cuda {

template void launch_no_overlap(Strided<const __half>, const __half*, const __half*,
                                Strided<__half>, const TransposedShape&, cudaStream_t);
template void launch_no_overlap(Strided<const __nv_bfloat16>, const __nv_bfloat16*,
                                const __nv_bfloat16*, Strided<__nv_bfloat16>,
                                const TransposedShape&, cudaStream_t);

#define INSTANTIATE(T)                                                                        \
  template void launch_depthwise_transposed(Strided<const T>, const T*, const T*, Strided<T>, \
                                            const TransposedShape&, bool, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
