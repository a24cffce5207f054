// CUDA launcher of the backward op: a window of output pixels at a time, small enough for its
// columns to stay in the L2 cache between the kernels and torch's matrix products.
#include <ATen/Context.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "deform_conv2d/deform_conv2d.h"
#include "deform_conv2d/deform_cuda.h"

namespace fastcv {
namespace {

constexpr int64_t window_bytes = int64_t{16} << 20;
constexpr int64_t sum_bytes = int64_t{16} << 20;  // of the sums for half-precision gradients

using cuda::DeformWindow;

template <typename T>
struct Backward {
  using Device = device_t<T>;
  using Acc = device_acc_t<T>;
  static constexpr auto acc_dtype = c10::CppTypeToScalarType<Acc>::value;

  DeformShape s;  // of the channels that are worked on
  const at::Tensor& offset;
  const std::optional<at::Tensor>& mask;
  at::Tensor images, grad, weight;  // weight: [group, out channel, column]
  at::Tensor samples, columns;
  cudaStream_t stream = c10::cuda::getCurrentCUDAStream();

  // The most pixels whose samples and columns fill no more than `window_bytes`: of several images
  // if those are small.
  std::pair<int64_t, int64_t> window_size() const {
    const int64_t pixel = s.taps() * (s.channels * int64_t{sizeof(T)} +
                                      s.offset_groups * int64_t{sizeof(Sample<Acc>)});
    const int64_t most = std::max<int64_t>(1, window_bytes / pixel);
    const int64_t at_once = std::clamp<int64_t>(most / s.out_pixels(), 1, s.batch);
    return {at_once, std::min(most, s.out_pixels())};
  }

  Sample<Acc>* sample_data() const { return static_cast<Sample<Acc>*>(samples.mutable_data_ptr()); }

  // Calls f(window) for all windows, their samples made.
  template <typename F>
  void for_each_window(F f) {
    const auto [at_once, pixels] = window_size();
    const int64_t all = at_once * s.taps() * pixels;
    samples = at::empty({all * s.offset_groups * int64_t{sizeof(Sample<Acc>)}},
                        images.options().dtype(at::kByte));
    columns = at::empty({all * s.channels}, images.options());
    for (int64_t n = 0; n < s.batch; n += at_once) {
      for (int64_t p = 0; p < s.out_pixels(); p += pixels) {
        const DeformWindow w{n, std::min(at_once, s.batch - n), static_cast<int>(p),
                             static_cast<int>(std::min(pixels, s.out_pixels() - p))};
        cuda::launch_deform_samples(s, w, positions<T>(offset, mask), sample_data(), stream);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
        f(w);
      }
    }
  }

  // Of image i of a window, by groups: [group, column, pixel] and [group, out channel, pixel].
  at::Tensor columns_of(const DeformWindow& w, int64_t i) const {
    const int64_t size = s.channels * s.taps() * w.count;
    return columns.narrow(0, i * size, size).view({s.groups, s.columns(), w.count});
  }
  at::Tensor grad_of(const DeformWindow& w, int64_t i) const {
    return grad.select(0, w.image + i)
        .flatten(1)
        .narrow(1, w.first, w.count)
        .unflatten(0, {s.groups, s.group_out_channels()});
  }

  void grad_columns(const DeformWindow& w) {
    const at::Tensor transposed = weight.transpose(1, 2);
    for (int64_t i = 0; i < w.images; ++i) {
      at::Tensor to = columns_of(w, i);
      at::bmm_out(to, transposed, grad_of(w, i));
    }
  }

  void position_gradients(const DeformWindow& w, const at::Tensor& grad_offset,
                          const at::Tensor& grad_mask) {
    cuda::launch_deform_position_gradients(
        s, w, positions<T>(offset, mask), static_cast<const Sample<Acc>*>(sample_data()),
        pixels<T>(images), device_ptr<T>(columns), mutable_device_ptr<T>(grad_offset),
        mask ? mutable_device_ptr<T>(grad_mask) : nullptr, stream);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }

  // `sums` begins at image `first_image`.
  void scatter(const DeformWindow& w, const at::Tensor& sums, int64_t first_image) {
    const at::Tensor part = sums.narrow(0, w.image - first_image, w.images);
    cuda::launch_deform_scatter(s, w, static_cast<const Sample<Acc>*>(sample_data()),
                                device_ptr<T>(columns),
                                at::globalContext().deterministicAlgorithms(),
                                cuda::Pixels<Acc>{part.mutable_data_ptr<Acc>(), part.stride(0),
                                                  part.stride(3), part.stride(1)},
                                stream);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }

  // Needs what the columns read, not their gradient.
  void weight_gradient(const at::Tensor& grad_weight) {
    const at::Tensor sum = at::zeros({s.groups, s.group_out_channels(), s.columns()},
                                     images.options().dtype(acc_dtype));
    for_each_window([&](const DeformWindow& w) {
      cuda::launch_deform_columns(s, w, static_cast<const Sample<Acc>*>(sample_data()),
                                  pixels<T>(images), mutable_device_ptr<T>(columns), stream);
      C10_CUDA_KERNEL_LAUNCH_CHECK();
      for (int64_t i = 0; i < w.images; ++i) {
        const at::Tensor left = grad_of(w, i), right = columns_of(w, i).transpose(1, 2);
        if constexpr (sizeof(T) == 2) {
          sum.add_(at::bmm(left, right, acc_dtype));
        } else {
          sum.baddbmm_(left, right);
        }
      }
    });
    grad_weight.copy_(sum.view(grad_weight.sizes()));
  }

  // Gradients of positions; and of the input where it is added in place.
  void data_gradients(const at::Tensor& sums, const at::Tensor& grad_offset,
                      const at::Tensor& grad_mask) {
    for_each_window([&](const DeformWindow& w) {
      grad_columns(w);
      if (grad_offset.defined()) position_gradients(w, grad_offset, grad_mask);
      if (sums.defined()) scatter(w, sums, 0);
    });
  }
};

// In half precision, sums in float32 for a few channels of an image at a time.
template <typename T>
void narrow_input_gradient(const Backward<T>& all, const at::Tensor& grad_input) {
  const DeformShape& s = all.s;
  // Channels that share a weight group and offsets, so that the rest is as of one group each.
  const int64_t fit = std::max<int64_t>(1, sum_bytes / (s.pixels() * int64_t{sizeof(float)}));
  for (int64_t c = 0; c < s.channels;) {
    const int64_t group = c / s.group_channels(), offset_group = c / s.offset_group_channels();
    const int64_t end = std::min({s.channels, (group + 1) * s.group_channels(),
                                  (offset_group + 1) * s.offset_group_channels(), c + fit});
    const int64_t first_column = (c - group * s.group_channels()) * s.taps();
    for (int64_t n = 0, step = std::max<int64_t>(1, fit / (end - c)); n < s.batch; n += step) {
      const int64_t images = std::min(step, s.batch - n);
      const auto of_images = [&](const at::Tensor& t) { return t.narrow(0, n, images); };
      const at::Tensor offset =
          of_images(all.offset).narrow(1, offset_group * 2 * s.taps(), 2 * s.taps());
      std::optional<at::Tensor> mask;
      if (all.mask) mask = of_images(*all.mask).narrow(1, offset_group * s.taps(), s.taps());
      Backward<T> part{
          s,
          offset,
          mask,
          of_images(all.images).narrow(1, c, end - c),
          of_images(all.grad).narrow(1, group * s.group_out_channels(), s.group_out_channels()),
          all.weight.narrow(0, group, 1).narrow(2, first_column, (end - c) * s.taps()),
          {},
          {}};
      part.s.batch = images, part.s.channels = end - c, part.s.groups = 1;
      part.s.offset_groups = 1, part.s.out_channels = s.group_out_channels();
      const at::Tensor sums =
          at::zeros({images, end - c, s.height, s.width}, all.images.options().dtype(at::kFloat));
      part.data_gradients(sums, {}, {});
      of_images(grad_input).narrow(1, c, end - c).copy_(sums);
    }
    c = end;
  }
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> deform_conv2d_backward_cuda(
    const at::Tensor& grad, const at::Tensor& input, const at::Tensor& offset,
    const at::Tensor& weight, const std::optional<at::Tensor>& mask, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool of_input, bool of_offset,
    bool of_weight) {
  const DeformShape s =
      check_deform_conv2d_backward(grad, input, offset, weight, mask, stride, padding, dilation);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const auto result = [&](bool wanted, const at::Tensor& like, at::MemoryFormat format) {
    return wanted ? at::empty(like.sizes(), like.options(), format)
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
    Backward<T> backward{s,
                         offset,
                         mask,
                         dense_images(input),
                         dense_images(grad),
                         weight.reshape({s.groups, s.group_out_channels(), s.columns()}),
                         {},
                         {}};
    const bool in_place = of_input && sizeof(T) != 2;
    if (in_place) grad_input.zero_();
    if (in_place || of_offset) {
      backward.data_gradients(in_place ? grad_input : at::Tensor(),
                              of_offset ? grad_offset : at::Tensor(), grad_mask);
    }
    if (of_weight) backward.weight_gradient(grad_weight);
    if (of_input && !in_place) narrow_input_gradient(backward, grad_input);
  });
  return {grad_input, grad_offset, grad_weight, grad_mask};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("_deform_conv2d_backward", deform_conv2d_backward_cuda);
}

}  // namespace fastcv
