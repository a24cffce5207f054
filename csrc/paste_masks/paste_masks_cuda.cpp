#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "common/host/call_op.h"
#include "paste_masks/paste_masks.h"
#include "paste_masks/paste_masks_kernel.h"

namespace fastcv {
namespace {

at::Tensor paste_masks_cuda(const at::Tensor& masks, const at::Tensor& boxes, int64_t height,
                            int64_t width, double threshold) {
  check_paste_masks(masks, boxes, height, width, threshold);
  const c10::cuda::CUDAGuard device_guard(masks.device());
  const at::Tensor pasted =
      at::empty({masks.size(0), height, width}, masks.options().dtype(at::kBool));
  if (pasted.numel() == 0) return pasted;
  const at::Tensor dense = masks.contiguous();
  dispatch_floating(masks.scalar_type(), "paste_masks", "masks", [&]<typename T>() {
    using Acc = device_acc_t<T>;
    const at::Tensor corners = boxes.to(c10::CppTypeToScalarType<Acc>::value).contiguous();
    cuda::launch_paste_masks(device_ptr<T>(dense), corners.const_data_ptr<Acc>(), masks.size(0),
                             masks.size(1), height, width, threshold,
                             reinterpret_cast<uint8_t*>(pasted.mutable_data_ptr<bool>()),
                             c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return pasted;
}

// On the CPU, where counts are needed: masks are a hundredth of the pixels.
std::tuple<at::Tensor, at::Tensor> paste_masks_rle_cuda(const at::Tensor& masks,
                                                        const at::Tensor& boxes, int64_t height,
                                                        int64_t width, double threshold) {
  check_paste_masks(masks, boxes, height, width, threshold);
  static const auto op =
      find_op<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&, c10::SymInt,
                                                 c10::SymInt, double)>("fastcv::_paste_masks_rle");
  return op.call(masks.cpu(), boxes.cpu(), height, width, threshold);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("paste_masks", paste_masks_cuda);
  m.impl("_paste_masks_rle", paste_masks_rle_cuda);
}

}  // namespace fastcv
