// CPU launcher. Of many channels, 16 at a time are laid side by side, so that a corner is one
// vector; of few, each is read where it lies, float32 as many pixels at a time as fit a vector.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>
#include <type_traits>

#include "common/cpu/buffer.h"
#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "flow_warp/flow_warp.h"

#define FASTCV_CPU_KERNEL "flow_warp/flow_warp_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t block = isa_portable::block_channels;
constexpr int64_t piece = 256;  // output pixels that are in the L1 cache together
constexpr int64_t buffer_bytes = int64_t{24} << 20;
constexpr int64_t few_channels = 4;
constexpr int64_t partial_sums = 8;  // of the flow's gradient, whatever the number of threads

// Whether 16 channels of an image may be laid side by side.
bool fits_buffer(const WarpShape& s, at::ScalarType dtype) {
  const int64_t element = dtype == at::kDouble ? 8 : 4;
  return s.pixels() * block * element <= buffer_bytes;
}

// The flow in the type that is computed in, dense.
template <typename Acc>
at::Tensor dense_flow(const at::Tensor& flow) {
  return flow.to(c10::CppTypeToScalarType<Acc>::value).contiguous();
}

template <typename Acc>
void make_samples(const WarpShape& s, const Acc* flow, int64_t first, int64_t count,
                  Sample<Acc>* samples) {
  int row = static_cast<int>(first / s.out_width), column = static_cast<int>(first % s.out_width);
  for (int64_t i = 0; i < count; ++i, ++column) {
    if (column == s.out_width) column = 0, ++row;
    const Acc x = flow[first + i], y = flow[s.out_pixels() + first + i];
    samples[i] = warp_sample(s, warp_position(s, row, column, x, y));
  }
}

// f(image, first pixel, how many) for all pieces of all outputs, on all threads.
template <typename F>
void for_each_piece(const WarpShape& s, F f) {
  const int64_t pieces = ceil_div(s.out_pixels(), piece);
  at::parallel_for(0, s.batch * pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % pieces * piece;
      f(i / pieces, first, std::min(piece, s.out_pixels() - first));
    }
  });
}

// Sixteen channels of an image at a time; the samples are the same for all of them.
template <typename T, typename Acc>
void warp_by_blocks(const WarpShape& s, const T* input, const Acc* flow, T* output) {
  const int64_t blocks = ceil_div(s.channels, block);
  at::parallel_for(0, s.batch * blocks, 1, [&](int64_t begin, int64_t end) {
    const auto samples = make_buffer<Sample<Acc>>(s.out_pixels());
    const auto pixels = make_buffer<Acc>(s.pixels() * block);
    const auto warped = make_buffer<Acc>(piece * block);
    for (int64_t job = begin, sampled = -1; job < end; ++job) {
      const int64_t image = job / blocks, c = job % blocks * block;
      const int here = static_cast<int>(std::min(block, s.channels - c));
      if (image != sampled) {
        make_samples(s, flow + image * 2 * s.out_pixels(), 0, s.out_pixels(), samples.get());
        sampled = image;
      }
      FASTCV_ISA_CALL(interleave<T, Acc>)(input + (image * s.channels + c) * s.pixels(), s.pixels(),
                                          here, s.pixels(), pixels.get());
      T* out = output + (image * s.channels + c) * s.out_pixels();
      for (int64_t first = 0; first < s.out_pixels(); first += piece) {
        const int64_t count = std::min(piece, s.out_pixels() - first);
        FASTCV_ISA_CALL(warp_pixels<Acc, Acc, Acc>)(samples.get() + first, count, pixels.get(),
                                                    block, warped.get());
        FASTCV_ISA_CALL(deinterleave<T, Acc>)(warped.get(), count, here, s.out_pixels(),
                                              out + first);
      }
    }
  });
}

at::Tensor flow_warp_cpu(const at::Tensor& input, const at::Tensor& flow, std::string_view padding,
                         bool align_corners) {
  check_flow_warp(input, flow, padding);
  const WarpShape s = warp_shape(input, flow, padding, align_corners);
  const auto format = input.suggest_memory_format();
  if (s.channels <= few_channels && at::isReducedFloatingType(input.scalar_type())) {
    const at::Tensor wide = input.to(at::kFloat);
    return flow_warp_cpu(wide, flow, padding, align_corners).to(input.scalar_type());
  }
  const bool few = s.channels <= few_channels || !fits_buffer(s, input.scalar_type());
  const bool in_vectors = few && input.scalar_type() == at::kFloat && s.height >= 2 && s.width >= 2;
  // In channels_last a pixel whose channels fill no vector goes the other way.
  const bool last = is_channels_last(input) && !in_vectors && (few || s.channels % block == 0);
  const at::Tensor source =
      input.contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const at::Tensor output =
      empty_on_huge_pages(source, {s.batch, s.channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output.contiguous(format);
  if (input.numel() == 0) return output.zero_().contiguous(format);
  dispatch_floating(input.scalar_type(), "flow_warp", "input", [&]<typename T>() {
    using Acc = acc_t<T>;
    const at::Tensor dense = dense_flow<Acc>(flow);
    const T* from = source.const_data_ptr<T>();
    const Acc* by = dense.const_data_ptr<Acc>();
    T* to = output.mutable_data_ptr<T>();
    const int64_t image_size = s.channels * s.pixels(), out_size = s.channels * s.out_pixels();
    if (last && s.channels % block == 0) {
      for_each_piece(s, [&](int64_t image, int64_t first, int64_t n) {
        Sample<Acc> samples[piece];
        make_samples(s, by + image * 2 * s.out_pixels(), first, n, samples);
        FASTCV_ISA_CALL(warp_pixels<Acc, T, T>)(samples, n, from + image * image_size, s.channels,
                                                to + image * out_size + first * s.channels);
      });
    } else if (!few) {
      warp_by_blocks(s, from, by, to);
    } else {
      if constexpr (std::is_same_v<T, float>) {
        if (in_vectors) {
          return for_each_piece(s, [&](int64_t image, int64_t first, int64_t n) {
            FASTCV_ISA_CALL(warp_planes)(s, by + image * 2 * s.out_pixels(), first, n,
                                         from + image * image_size, to + image * out_size);
          });
        }
      }
      const int64_t stride = last ? s.channels : 1;
      for_each_piece(s, [&](int64_t image, int64_t first, int64_t n) {
        Sample<Acc> samples[piece];
        make_samples(s, by + image * 2 * s.out_pixels(), first, n, samples);
        for (int64_t c = 0; c < s.channels; ++c) {
          FASTCV_ISA_CALL(warp_plane<Acc, T>)(
              samples, n, from + image * image_size + (last ? c : c * s.pixels()), stride,
              to + image * out_size + (last ? c : c * s.out_pixels()) + first * stride);
        }
      });
    }
  });
  return output.contiguous(format);
}

// `wide` channels of a dense NCHW tensor side by side, and back.
template <int wide, typename T, typename Acc>
void lay_out(const T* planes, int64_t stride, int channels, int64_t count, Acc* pixels) {
  if constexpr (wide == 1) {
    FASTCV_ISA_CALL(widen<T, Acc>)(planes, count, pixels);
  } else {
    FASTCV_ISA_CALL(interleave<T, Acc>)(planes, stride, channels, count, pixels);
  }
}
template <int wide, typename T, typename Acc>
void put_back(const Acc* pixels, int64_t count, int channels, int64_t stride, T* planes) {
  if constexpr (wide == 1) {
    FASTCV_ISA_CALL(round_to<T, Acc>)(pixels, count, planes);
  } else {
    FASTCV_ISA_CALL(deinterleave<T, Acc>)(pixels, count, channels, stride, planes);
  }
}

// Both gradients of dense NCHW tensors; null where they are not needed. Each of the partial sums
// goes through its blocks of channels in turn, so their order is the same for any threads.
template <int wide, typename T, typename Acc>
void unwarp(const WarpShape& s, const T* grad, const T* input, const Acc* flow, T* grad_input,
            Acc* grad_flow) {
  const int64_t blocks = ceil_div(s.channels, wide);
  const int64_t sums = std::min(partial_sums, blocks), share = ceil_div(blocks, sums);
  const int64_t out = s.out_pixels();
  const auto dots = make_buffer<Acc>(grad_flow == nullptr ? 0 : s.batch * sums * out * 4);
  at::parallel_for(0, s.batch * sums, 1, [&](int64_t begin, int64_t end) {
    const auto samples = make_buffer<Sample<Acc>>(out);
    const auto pixels = make_buffer<Acc>(grad_flow == nullptr ? 0 : s.pixels() * wide);
    const auto summed = make_buffer<Acc>(grad_input == nullptr ? 0 : s.pixels() * wide);
    const auto by_output = make_buffer<Acc>(piece * wide);
    for (int64_t job = begin, sampled = -1; job < end; ++job) {
      const int64_t image = job / sums;
      if (image != sampled) {
        make_samples(s, flow + image * 2 * out, 0, out, samples.get());
        sampled = image;
      }
      Acc* dot = grad_flow == nullptr ? nullptr : dots.get() + job * out * 4;
      if (dot != nullptr) std::fill_n(dot, out * 4, Acc(0));
      const int64_t first_block = job % sums * share;
      for (int64_t b = first_block; b < std::min(blocks, first_block + share); ++b) {
        const int64_t channel = image * s.channels + b * wide;
        const int here = static_cast<int>(std::min<int64_t>(wide, s.channels - b * wide));
        if (dot != nullptr) {
          lay_out<wide>(input + channel * s.pixels(), s.pixels(), here, s.pixels(), pixels.get());
        }
        if (grad_input != nullptr) std::fill_n(summed.get(), s.pixels() * wide, Acc(0));
        for (int64_t first = 0; first < out; first += piece) {
          const int64_t count = std::min(piece, out - first);
          lay_out<wide>(grad + channel * out + first, out, here, count, by_output.get());
          FASTCV_ISA_CALL(unwarp_pixels<wide, Acc>)(samples.get() + first, count, by_output.get(),
                                                    pixels.get(),
                                                    grad_input == nullptr ? nullptr : summed.get(),
                                                    dot == nullptr ? nullptr : dot + first * 4);
        }
        if (grad_input != nullptr) {
          put_back<wide>(summed.get(), s.pixels(), here, s.pixels(),
                         grad_input + channel * s.pixels());
        }
      }
    }
  });
  if (grad_flow == nullptr) return;
  at::parallel_for(0, s.batch * out, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / out, p = i % out;
      Acc dot[4] = {};
      for (int64_t part = 0; part < sums; ++part) {
        for (int k = 0; k < 4; ++k) dot[k] += dots[((image * sums + part) * out + p) * 4 + k];
      }
      const FlowGradient<Acc> g = flow_gradient(warp_position(s, flow + image * 2 * out, p), dot);
      grad_flow[image * 2 * out + p] = g.x;
      grad_flow[(image * 2 + 1) * out + p] = g.y;
    }
  });
}

void unwarp_flow_of_few(const WarpShape& s, const at::Tensor& grad, const at::Tensor& input,
                        const at::Tensor& flow, const at::Tensor& grad_flow) {
  const float *by_output = grad.const_data_ptr<float>(), *x = input.const_data_ptr<float>();
  const float* by = flow.const_data_ptr<float>();
  float* to = grad_flow.mutable_data_ptr<float>();
  for_each_piece(s, [&](int64_t image, int64_t first, int64_t n) {
    FASTCV_ISA_CALL(unwarp_flow)(s, by + image * 2 * s.out_pixels(), first, n,
                                 by_output + image * s.channels * s.out_pixels(),
                                 x + image * s.channels * s.pixels(),
                                 to + image * 2 * s.out_pixels());
  });
}

std::tuple<at::Tensor, at::Tensor> flow_warp_backward_cpu(
    const at::Tensor& grad, const at::Tensor& input, const at::Tensor& flow,
    std::string_view padding, bool align_corners, bool of_input, bool of_flow) {
  check_flow_warp_backward(grad, input, flow, padding);
  const WarpShape s = warp_shape(input, flow, padding, align_corners);
  const at::Tensor x = input.contiguous(), by_output = grad.contiguous();
  at::Tensor by_input = at::empty({0}, input.options()), by_flow = at::empty({0}, flow.options());
  if (of_input) by_input = at::zeros_like(x);
  if (input.numel() == 0 || grad.numel() == 0) {
    if (of_flow) by_flow = at::zeros_like(flow, at::MemoryFormat::Contiguous);
  } else {
    dispatch_floating(input.scalar_type(), "flow_warp", "input", [&]<typename T>() {
      using Acc = acc_t<T>;
      const at::Tensor dense = dense_flow<Acc>(flow);
      at::Tensor sums;
      if (of_flow) sums = at::empty_like(dense);
      if constexpr (std::is_same_v<T, float>) {
        if (of_flow && s.channels <= few_channels && s.height >= 2 && s.width >= 2) {
          unwarp_flow_of_few(s, by_output, x, dense, sums);
          by_flow = sums.to(flow.scalar_type());
          of_flow = false;
        }
      }
      if (!of_input && !of_flow) return;
      const auto run = s.channels > few_channels ? unwarp<block, T, Acc> : unwarp<1, T, Acc>;
      run(s, by_output.const_data_ptr<T>(), x.const_data_ptr<T>(), dense.const_data_ptr<Acc>(),
          of_input ? by_input.mutable_data_ptr<T>() : nullptr,
          of_flow ? sums.mutable_data_ptr<Acc>() : nullptr);
      if (of_flow) by_flow = sums.to(flow.scalar_type());
    });
  }
  if (of_input) by_input = by_input.contiguous(input.suggest_memory_format());
  return {by_input, by_flow};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("flow_warp", flow_warp_cpu);
  m.impl("_flow_warp_backward", flow_warp_backward_cpu);
}

}  // namespace fastcv
