#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "common/host/call_op.h"
#include "proto_masks/proto_masks.h"
#include "proto_masks/proto_masks_kernel.h"

namespace fastcv {
namespace {

at::Tensor proto_masks_cuda(const at::Tensor& prototypes, const at::Tensor& coefficients,
                            const at::Tensor& boxes, int64_t height, int64_t width,
                            double threshold) {
  check_proto_masks(prototypes, coefficients, boxes, height, width, threshold);
  const c10::cuda::CUDAGuard device_guard(prototypes.device());
  const at::Tensor masks =
      at::empty({boxes.size(0), height, width}, prototypes.options().dtype(at::kBool));
  if (masks.numel() == 0) return masks;
  const at::Tensor dense = prototypes.contiguous(), weights = coefficients.contiguous();
  dispatch_floating(prototypes.scalar_type(), "proto_masks", "prototypes", [&]<typename T>() {
    using Acc = device_acc_t<T>;
    const auto acc = c10::CppTypeToScalarType<Acc>::value;
    const at::Tensor corners = boxes.to(acc).contiguous();
    const at::Tensor samples =
        at::empty({boxes.size(0), dense.size(1), dense.size(2)}, prototypes.options().dtype(acc));
    cuda::launch_proto_masks(
        device_ptr<T>(dense), device_ptr<T>(weights), corners.const_data_ptr<Acc>(), boxes.size(0),
        dense.size(0), dense.size(1), dense.size(2), height, width, threshold,
        samples.mutable_data_ptr<Acc>(), reinterpret_cast<uint8_t*>(masks.mutable_data_ptr<bool>()),
        c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return masks;
}

// On the CPU, where counts are needed: the inputs are a fraction of the pixels.
std::tuple<at::Tensor, at::Tensor> proto_masks_rle_cuda(const at::Tensor& prototypes,
                                                        const at::Tensor& coefficients,
                                                        const at::Tensor& boxes, int64_t height,
                                                        int64_t width, double threshold) {
  check_proto_masks(prototypes, coefficients, boxes, height, width, threshold);
  static const auto op = find_op<std::tuple<at::Tensor, at::Tensor>(
      const at::Tensor&, const at::Tensor&, const at::Tensor&, c10::SymInt, c10::SymInt, double)>(
      "fastcv::_proto_masks_rle");
  return op.call(prototypes.cpu(), coefficients.cpu(), boxes.cpu(), height, width, threshold);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("proto_masks", proto_masks_cuda);
  m.impl("_proto_masks_rle", proto_masks_rle_cuda);
}

}  // namespace fastcv
