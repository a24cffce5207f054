// Columns of a window of output pixels, times the weights.
#include <torch/library.h>

#include "deform_conv2d/deform_conv2d.h"
#include "deform_conv2d/deform_cuda.h"

namespace fastcv {
namespace {

at::Tensor deform_conv2d_cuda(const at::Tensor& input, const at::Tensor& offset,
                              const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                              at::IntArrayRef stride, at::IntArrayRef padding,
                              at::IntArrayRef dilation, const std::optional<at::Tensor>& mask) {
  const DeformShape s =
      check_deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const at::Tensor output =
      empty_in_format_of(input, {s.batch, s.out_channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output;
  if (input.numel() == 0) {
    return bias ? output.copy_(bias->view({1, s.out_channels, 1, 1})) : output.zero_();
  }
  const at::Tensor weights = weight_rows(weight, s).transpose(1, 2);
  const int64_t element = input.element_size();
  const int64_t image = s.channels * s.pixels() * element;
  // Of an image that is too large for a copy the channels are read where they are: slowly.
  const at::Tensor dense = input.contiguous(input.suggest_memory_format());
  const bool copied =
      !rows_of_images(dense).is_contiguous() && image <= deform_memory - min_column_bytes;
  const int64_t pixel = (s.groups * s.columns() + s.out_channels) * element;
  const auto options = input.options();
  const at::Tensor output_rows = rows_of_images(output);
  const bool direct = output_rows.is_contiguous();
  const at::Tensor all_rows = direct ? output_rows.view({-1, s.out_channels}) : at::Tensor();
  dispatch_floating(input.scalar_type(), "deform_conv2d", "input", [&]<typename T>() {
    at::Tensor images;
    ReusedRows columns, products;
    for_each_window(s, pixel, copied ? image : 0, [&](const DeformWindow& w) {
      const int64_t rows = w.images * w.count;
      if (w.first == 0) {
        images = rows_of_images(dense.narrow(0, w.image, w.images));
        if (copied) images = images.contiguous();
      }
      const at::Tensor here = columns.first(rows, s.groups * s.columns(), options);
      cuda::launch_deform_columns(s, w, positions<T>(offset, mask),
                                  pixels(images, device_ptr<T>(images)),
                                  mutable_device_ptr<T>(here), c10::cuda::getCurrentCUDAStream());
      C10_CUDA_KERNEL_LAUNCH_CHECK();
      const at::Tensor product = direct
                                     ? all_rows.narrow(0, w.image * s.out_pixels() + w.first, rows)
                                     : products.first(rows, s.out_channels, options);
      multiply_rows(product, here, weights, s);
      if (bias) product.add_(*bias);
      if (!direct) {
        const at::Tensor to = rows_of_window(output, w);
        to.copy_(product.view_as(to));
      }
    });
  });
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("deform_conv2d", deform_conv2d_cuda); }

}  // namespace fastcv
