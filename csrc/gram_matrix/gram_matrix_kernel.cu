#include "gram_matrix/gram_matrix_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T) \
  template void launch_gram_matrix(const GramArguments<T>&, double, acc_t<T>*, T*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
