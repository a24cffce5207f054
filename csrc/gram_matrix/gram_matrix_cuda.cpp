#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "gram_matrix/gram_matrix.h"
#include "gram_matrix/gram_matrix_kernel.h"

namespace fastcv {
namespace {

at::Tensor gram_matrix_cuda(const at::Tensor& features, bool normalize) {
  check_gram_matrix(features);
  const int64_t batch = features.size(0), channels = features.size(1);
  TORCH_CHECK(batch < 65536,
              "gram_matrix: features must have fewer than 65536 images on CUDA, got ", batch);
  const c10::cuda::CUDAGuard device_guard(features.device());
  const at::Tensor gram = at::empty({batch, channels, channels}, features.options());
  if (gram.numel() == 0) return gram;
  const at::Tensor source = as_channels_and_pixels(features);
  const int64_t pixels = source.size(2);
  dispatch_floating(features.scalar_type(), "gram_matrix", "features", [&]<typename T>() {
    using Acc = device_acc_t<T>;
    const at::Tensor parts =
        at::empty({cuda::gram_parts(batch, channels, pixels)},
                  features.options().dtype(c10::CppTypeToScalarType<Acc>::value));
    const cuda::GramArguments<device_t<T>> arguments{
        device_ptr<T>(source), batch,           channels, pixels, source.stride(0),
        source.stride(1),      source.stride(2)};
    cuda::launch_gram_matrix(arguments, gram_scale(features, normalize),
                             parts.mutable_data_ptr<Acc>(), mutable_device_ptr<T>(gram),
                             c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return gram;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("gram_matrix", gram_matrix_cuda); }

}  // namespace fastcv
