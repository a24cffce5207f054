// CUDA launcher. The sums need each code's vectors together: torch sorts the codes, and where each
// begins stays on the device.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "vq_codes/vq_codes.h"
#include "vq_codes/vq_codes_kernel.h"

namespace fastcv {
namespace {

template <typename T>
cuda::StridedRows<device_t<T>> rows_of(const at::Tensor& t) {
  return {device_ptr<T>(t), t.stride(0), t.stride(1)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> vq_codes_cuda(const at::Tensor& vectors,
                                                             const at::Tensor& codebook) {
  check_vq_codes(vectors, codebook);
  const c10::cuda::CUDAGuard device_guard(vectors.device());
  const int64_t count = vectors.size(0), d = vectors.size(1), size = codebook.size(0);
  const auto whole = vectors.options().dtype(at::kLong);
  const bool is_double = vectors.scalar_type() == at::kDouble;
  const auto real = vectors.options().dtype(is_double ? at::kDouble : at::kFloat);
  const at::Tensor codes = at::empty({count}, whole);
  if (count == 0) return {codes, at::zeros({size}, whole), at::zeros({size, d}, real)};
  const at::Tensor counts = at::empty({size}, whole), sums = at::empty({size, d}, real);
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  dispatch_floating(vectors.scalar_type(), "vq_codes", "vectors", [&]<typename T>() {
    cuda::launch_vq_nearest<device_t<T>>(rows_of<T>(vectors), count, rows_of<T>(codebook), size, d,
                                         codes.mutable_data_ptr<int64_t>(), stream);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const auto [by_code, order] = at::sort(codes, /*stable=*/true, 0, /*descending=*/false);
    const at::Tensor starts = at::searchsorted(by_code, at::arange(size + 1, whole));
    cuda::launch_vq_sums<device_t<T>>(rows_of<T>(vectors), order.const_data_ptr<int64_t>(),
                                      starts.const_data_ptr<int64_t>(), size, d,
                                      counts.mutable_data_ptr<int64_t>(),
                                      sums.mutable_data_ptr<device_acc_t<T>>(), stream);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return {codes, counts, sums};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("vq_codes", vq_codes_cuda); }

}  // namespace fastcv
