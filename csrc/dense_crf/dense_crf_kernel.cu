#include "dense_crf/dense_crf_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(Acc)                                                                           \
  template void launch_lattice_points(int, const Acc*, int64_t, int64_t, double, double, int64_t*, \
                                      Acc*, cudaStream_t);                                         \
  template void launch_lattice_splat(const LatticeEntries&, const Acc*, const Acc*, int64_t, Acc*, \
                                     Acc*, cudaStream_t);                                          \
  template void launch_lattice_blur(const int32_t*, const Acc*, int64_t, int64_t, Acc*,            \
                                    cudaStream_t);                                                 \
  template void launch_lattice_slice(const int32_t*, const Acc*, int, const Acc*, int64_t,         \
                                     int64_t, double, const Acc*, Acc*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
#undef INSTANTIATE

}  // namespace fastcv::cuda
