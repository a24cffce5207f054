// The instantiations that the launcher needs. No torch header: this compiles in a second per
// architecture.
#include "identity/identity_kernel.cuh"

namespace fastcv::cuda {

template void launch_identity(const double*, double*, int64_t, cudaStream_t);
template void launch_identity(const float*, float*, int64_t, cudaStream_t);
template void launch_identity(const __half*, __half*, int64_t, cudaStream_t);
template void launch_identity(const __nv_bfloat16*, __nv_bfloat16*, int64_t, cudaStream_t);

}  // namespace fastcv::cuda
