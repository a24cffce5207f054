// The backward op, a window of output pixels at a time: the gradient of its columns, from that the
// gradients of positions and of the input, and from the columns themselves that of the weight.
#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "deform_conv2d/deform_conv2d.h"
#include "deform_conv2d/deform_cuda.h"

namespace fastcv {
namespace {

template <typename T>
struct Backward {
  using Device = device_t<T>;
  using Acc = device_acc_t<T>;
  static constexpr auto acc_dtype = c10::CppTypeToScalarType<Acc>::value;

  // Of the channels that are worked on; input and mask may be undefined.
  DeformShape s;
  at::Tensor grad, input, offset, mask, weight;
  // What is needed; undefined where it is not.
  at::Tensor grad_input, grad_offset, grad_mask, grad_weight;
  bool is_part = false;  // of the channels, see by_channels()
  // Of the window's images, as rows, and of the window.
  at::Tensor images, sums;
  ReusedRows columns;
  bool copied = false, summed = false;
  cudaStream_t stream = c10::cuda::getCurrentCUDAStream();

  void run() {
    const int64_t element = grad.element_size(), image = s.channels * s.pixels();
    constexpr int64_t acc = sizeof(Acc), room = deform_memory - min_column_bytes;
    int64_t of_image = 0;
    bool later = false;
    if (grad_input.defined()) {
      // Else sums go straight into a gradient of their own dtype, wherever its channels are.
      const bool same = sizeof(T) == sizeof(Acc);
      const bool direct = same && rows_of_images(grad_input).is_contiguous();
      summed = is_part || (!direct && image * acc <= room);
      later = !summed && !same;
      if (summed) of_image += image * acc;
      if (!summed && !later) grad_input.zero_();
    }
    if (later && !grad_offset.defined() && !grad_weight.defined()) return by_channels();
    if (input.defined() && !rows_of_images(input).is_contiguous()) {
      copied = of_image + image * element <= room;
      if (copied) of_image += image * element;
    }
    const int64_t sample = ordered() ? sizeof(Sample<Acc>) : 0;
    const int64_t pixel =
        (s.groups * s.columns() + s.out_channels) * element + s.offset_groups * s.taps() * sample;
    at::Tensor of_weight;
    if (grad_weight.defined())
      of_weight = at::zeros(weight.sizes(), grad.options().dtype(acc_dtype));
    for_each_window(s, pixel, of_image, [&](const DeformWindow& w) {
      if (w.first == 0) begin_images(w, later);
      const int64_t rows = w.images * w.count;
      const at::Tensor here = columns.first(rows, s.groups * s.columns(), grad.options());
      const at::Tensor of_output = rows_of_window(grad, w).reshape({rows, s.out_channels});
      data_gradients(w, of_output, here);
      if (grad_weight.defined()) add_weight_gradient(of_output, here, of_weight);
      if (summed && w.first + w.count == s.out_pixels()) {
        rows_of_images(grad_input.narrow(0, w.image, w.images)).copy_(sums);
      }
    });
    if (grad_weight.defined()) {
      const auto shape = {s.out_channels, int64_t{s.kernel_height}, int64_t{s.kernel_width},
                          s.group_channels()};
      grad_weight.copy_(of_weight.view(shape).permute({0, 3, 1, 2}));
    }
    if (later) {
      images = sums = columns.all = at::Tensor();  // their memory is the parts'
      by_channels();
    }
  }

  static bool ordered() { return at::globalContext().deterministicAlgorithms(); }

  void begin_images(const DeformWindow& w, bool later) {
    if (input.defined()) {
      images = rows_of_images(input.narrow(0, w.image, w.images));
      if (copied) images = images.contiguous();
    }
    if (summed) {
      sums = at::zeros({w.images, s.pixels(), s.channels}, grad.options().dtype(acc_dtype));
    } else if (grad_input.defined() && !later) {
      sums = rows_of_images(grad_input.narrow(0, w.image, w.images));
    }
  }

  // Of positions and input; leaves in `here` what the samples read, if the weight's needs it.
  void data_gradients(const DeformWindow& w, const at::Tensor& of_output, const at::Tensor& here) {
    const auto at = positions<T>(offset, mask.defined() ? std::optional(mask) : std::nullopt);
    cuda::Pixels<const Device> from{nullptr, 0, 0, 0};
    if (input.defined()) from = pixels(images, device_ptr<T>(images));
    if (!grad_offset.defined() && !sums.defined()) {
      cuda::launch_deform_columns(s, w, at, from, mutable_device_ptr<T>(here), stream);
      C10_CUDA_KERNEL_LAUNCH_CHECK();
      return;
    }
    multiply_rows(here, of_output, weight, s);
    cuda::Pixels<Acc> to{nullptr, 0, 0, 0};
    if (sums.defined()) {
      to = {sums.mutable_data_ptr<Acc>(), sums.stride(0), sums.stride(1), sums.stride(2)};
    }
    if (sums.defined() && ordered()) {
      const int64_t count = here.size(0) * s.offset_groups * s.taps();
      const at::Tensor samples =
          at::empty({count * int64_t{sizeof(Sample<Acc>)}}, grad.options().dtype(at::kByte));
      cuda::launch_deform_ordered_scatter(s, w, at,
                                          static_cast<Sample<Acc>*>(samples.mutable_data_ptr()),
                                          device_ptr<T>(here), to, stream);
      C10_CUDA_KERNEL_LAUNCH_CHECK();
      to.data = nullptr;
    }
    const cuda::DeformGradients<Device> needed{
        mutable_device_ptr<T>(here), grad_weight.defined(), to,
        grad_offset.defined() ? mutable_device_ptr<T>(grad_offset) : nullptr,
        grad_mask.defined() ? mutable_device_ptr<T>(grad_mask) : nullptr};
    cuda::launch_deform_gradients(s, w, at, from, needed, stream);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }

  void add_weight_gradient(const at::Tensor& of_output, const at::Tensor& here, at::Tensor& sum) {
    const at::Tensor left = by_group(of_output, s).transpose(1, 2), right = by_group(here, s);
    if constexpr (sizeof(T) == 2) {
      sum.add_(at::bmm(left, right, acc_dtype));
    } else {
      sum.baddbmm_(left, right);
    }
  }

  // The gradient of an input in half precision whose sums of all channels would not fit: some
  // channels at a time, which share a weight group and offsets.
  void by_channels() {
    constexpr int64_t sum_bytes = int64_t{16} << 20;
    const int64_t fit = std::max<int64_t>(1, sum_bytes / (s.pixels() * int64_t{sizeof(Acc)}));
    const at::Tensor by_tap = weight.unflatten(2, {s.taps(), s.group_channels()});
    for (int64_t c = 0, end; c < s.channels; c = end) {
      const int64_t group = c / s.group_channels(), offsets = c / s.offset_group_channels();
      end = std::min({s.channels, (group + 1) * s.group_channels(),
                      (offsets + 1) * s.offset_group_channels(), c + fit});
      Backward<T> part{s};
      part.s.channels = end - c, part.s.out_channels = s.group_out_channels();
      part.s.groups = part.s.offset_groups = 1;
      part.grad = grad.narrow(1, group * s.group_out_channels(), s.group_out_channels());
      part.offset = offset.narrow(1, offsets * 2 * s.taps(), 2 * s.taps());
      if (mask.defined()) part.mask = mask.narrow(1, offsets * s.taps(), s.taps());
      part.weight = by_tap.narrow(0, group, 1)
                        .narrow(3, c - group * s.group_channels(), end - c)
                        .reshape({1, part.s.out_channels, part.s.columns()});
      part.grad_input = grad_input.narrow(1, c, end - c);
      part.is_part = true;
      part.run();
    }
  }
};

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> deform_conv2d_backward_cuda(
    const at::Tensor& grad, const at::Tensor& input, const at::Tensor& offset,
    const at::Tensor& weight, const std::optional<at::Tensor>& mask, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool of_input, bool of_offset,
    bool of_weight) {
  const DeformShape s =
      check_deform_conv2d_backward(grad, input, offset, weight, mask, stride, padding, dilation);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const auto result = [&](bool needed, const at::Tensor& like, at::MemoryFormat format) {
    return needed ? at::empty(like.sizes(), like.options(), format)
                  : at::empty({0}, like.options());
  };
  constexpr auto dense = at::MemoryFormat::Contiguous;
  const at::Tensor grad_input = result(of_input, input, input.suggest_memory_format());
  const at::Tensor grad_offset = result(of_offset, offset, dense);
  const at::Tensor grad_weight = result(of_weight, weight, dense);
  const at::Tensor grad_mask = result(of_offset && mask, mask ? *mask : offset, dense);
  if (grad.numel() == 0 || input.numel() == 0) {
    for (const at::Tensor& t : {grad_input, grad_offset, grad_weight, grad_mask}) t.zero_();
    return {grad_input, grad_offset, grad_weight, grad_mask};
  }
  dispatch_floating(input.scalar_type(), "_deform_conv2d_backward", "input", [&]<typename T>() {
    Backward<T> backward{s, grad.contiguous(grad.suggest_memory_format()),
                         input.contiguous(input.suggest_memory_format()), offset};
    if (mask) backward.mask = *mask;
    backward.weight = weight_rows(weight, s);
    if (of_input) backward.grad_input = grad_input;
    if (of_offset) backward.grad_offset = grad_offset;
    if (of_offset && mask) backward.grad_mask = grad_mask;
    if (of_weight) backward.grad_weight = grad_weight;
    backward.run();
  });
  return {grad_input, grad_offset, grad_weight, grad_mask};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("_deform_conv2d_backward", deform_conv2d_backward_cuda);
}

}  // namespace fastcv
