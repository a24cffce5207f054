// CPU launcher: pack the weight, split the work.
#include <ATen/Parallel.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/cpu/cpu_bfloat16.h"
#include "common/cpu/huge_pages.h"
#include "common/cpu/widened.h"
#include "common/host/call_op.h"
#include "common/host/dispatch.h"
#include "common/host/fill_with_bias.h"
#include "conv_transpose2d/conv_transpose2d.h"
#include "conv_transpose2d/no_overlap_plan.h"

#define FASTCV_CPU_KERNEL "conv_transpose2d/conv_transpose2d_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// Below this stride oneDNN's depthwise kernels are as fast. Fewer channels fill no vector.
constexpr int64_t min_stride = 8, min_channels = 16;

template <typename T>
void run_no_overlap(const at::Tensor& input, const at::Tensor& weight, const acc_t<T>* bias,
                    const TransposedShape& s, bool channels_last, const at::Tensor& output) {
  using Acc = acc_t<T>;
  const NoOverlapPlan plan =
      FASTCV_ISA_CALL(plan_no_overlap<Acc>)(s, channels_last, at::get_num_threads());
  const int64_t taps = s.kernel_height * s.kernel_width;
  const auto packed = make_buffer<Acc>(s.groups * plan.packed);
  const auto pack =
      channels_last ? FASTCV_ISA_CALL(pack_columns<T, Acc>) : FASTCV_ISA_CALL(pack_rows<T, Acc>);
  for (int64_t g = 0; g < s.groups; ++g) {
    pack(weight.const_data_ptr<T>() + g * plan.depth * plan.channels * taps, taps, plan,
         packed.get() + g * plan.packed);
  }
  const T* x = input.const_data_ptr<T>();
  T* out = output.mutable_data_ptr<T>();
  const auto run = channels_last ? FASTCV_ISA_CALL(no_overlap_channels_last<T, Acc>)
                                 : FASTCV_ISA_CALL(no_overlap_nchw<T, Acc>);
  at::parallel_for(0, s.batch * s.groups * plan.tiles, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = make_buffer<Acc>(plan.scratch);
    std::fill_n(scratch.get(), plan.scratch, Acc(0));
    run(x, packed.get(), bias, out, s, plan, begin, end, scratch.get());
  });
}

std::vector<TapRange> all_taps(int64_t out_size, int64_t padding, int64_t stride, int64_t kernel,
                               int64_t size) {
  std::vector<TapRange> taps;
  for (int64_t at = 0; at < out_size; ++at) {
    taps.push_back(taps_at(at + padding, stride, kernel, size));
  }
  return taps;
}

template <typename T>
void run_depthwise(const at::Tensor& input, const at::Tensor& weight, const acc_t<T>* bias,
                   const TransposedShape& s, bool channels_last, const at::Tensor& output) {
  using Acc = acc_t<T>;
  const T* x = input.const_data_ptr<T>();
  T* out = output.mutable_data_ptr<T>();
  const at::Tensor ordered = channels_last ? weight.permute({2, 3, 1, 0}).contiguous() : weight;
  const auto w = widened<T>(ordered, weight.numel());
  const auto rows =
      all_taps(s.out_height, s.pad_height, s.stride_height, s.kernel_height, s.height);
  const auto columns = all_taps(s.out_width, s.pad_width, s.stride_width, s.kernel_width, s.width);
  std::vector<int64_t> starts;
  for (int64_t y = 0; y < s.out_height; y += rows[y].run) starts.push_back(y);
  const TapTables tables{rows.data(), columns.data(), starts.data(), std::ssize(starts)};
  const auto run = channels_last ? FASTCV_ISA_CALL(depthwise_channels_last<T, Acc>)
                                 : FASTCV_ISA_CALL(depthwise_nchw<T, Acc>);
  const int64_t planes = channels_last ? s.batch : s.batch * s.in_channels;
  at::parallel_for(0, planes * tables.blocks, 1, [&](int64_t begin, int64_t end) {
    run(x, w.get(), bias, out, s, tables, begin, end);
  });
}

// Whether oneDNN has better than a plain loop for bfloat16 here.
bool onednn_takes_bfloat16() {
  static const bool does = find_op<bool()>("mkldnn::_is_mkldnn_bf16_supported").call();
  return does;
}

at::Tensor conv_transpose2d_cpu(const at::Tensor& input, const at::Tensor& weight,
                                const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                                at::IntArrayRef padding, at::IntArrayRef output_padding,
                                int64_t groups, at::IntArrayRef dilation) {
  const TransposedShape s = check_conv_transpose2d(input, weight, bias, stride, padding,
                                                   output_padding, groups, dilation);
  const auto dtype = input.scalar_type();
  const auto format = input.suggest_memory_format();
  TransposedPath path = path_of(s);
  const bool bfloat16 = dtype == at::kBFloat16;  // ours multiply it in float32
  if (path == TransposedPath::depthwise ? s.stride_width < min_stride
                                        : bfloat16 && multiplies_bfloat16()) {
    path = TransposedPath::general;
  }
  const bool general = path == TransposedPath::general && input.numel() != 0 && weight.numel() != 0;
  const auto torchs = [&](const at::Tensor& x, const at::Tensor& w,
                          const std::optional<at::Tensor>& b) {
    return at::conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation);
  };
  const bool slow = dtype == at::kHalf || (bfloat16 && !onednn_takes_bfloat16());
  if (general && !slow) return torchs(input, weight, bias).contiguous(format);

  at::Tensor output =
      at::empty({s.batch, s.out_channels, s.out_height, s.out_width}, input.options(), format);
  if (output.numel() == 0) return output;
  if (input.numel() == 0) return fill_with_bias(output, bias);
  advise_huge_pages(output);
  if (general) {
    const at::Tensor w = weight.to(at::kFloat);
    const auto b = bias ? std::optional(bias->to(at::kFloat)) : bias;
    for (int64_t n = 0; n < s.batch; ++n) {
      output.narrow(0, n, 1).copy_(torchs(input.narrow(0, n, 1).to(at::kFloat), w, b));
    }
    return output;
  }
  bool channels_last = format == at::MemoryFormat::ChannelsLast;
  if (channels_last && path == TransposedPath::depthwise && s.in_channels < min_channels) {
    channels_last = false;
    output = at::empty(output.sizes(), output.options());
  }
  const at::Tensor x = channels_last ? input.contiguous(format) : input.contiguous();
  const at::Tensor w = weight.contiguous();
  const at::Tensor b = bias ? bias->contiguous() : at::Tensor();
  dispatch_floating(dtype, "conv_transpose2d", "input", [&]<typename T>() {
    const auto wide_bias = widened<T>(b, s.out_channels);
    const auto run = path == TransposedPath::depthwise ? run_depthwise<T> : run_no_overlap<T>;
    run(x, w, wide_bias.get(), s, channels_last, output);
  });
  return output.contiguous(format);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("conv_transpose2d", conv_transpose2d_cpu); }

}  // namespace fastcv
