// CPU launcher: pack the weights, split the work.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "atrous_separable_conv2d/atrous_separable_conv2d.h"
#include "atrous_separable_conv2d/separable_tile.h"
#include "common/cpu/cpu_bfloat16.h"
#include "common/cpu/huge_pages.h"
#include "common/cpu/widened.h"
#include "common/host/dispatch.h"
#include "common/host/fill_with_bias.h"

#define FASTCV_CPU_KERNEL "atrous_separable_conv2d/atrous_separable_conv2d_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

template <typename T>
void run(const at::Tensor& input, const at::Tensor& depthwise, const at::Tensor& pointwise,
         const at::Tensor& depthwise_bias, const at::Tensor& pointwise_bias,
         const SeparableShape& s, bool channels_last, const at::Tensor& output) {
  using Acc = acc_t<T>;
  const SeparablePlan plan =
      FASTCV_ISA_CALL(plan_separable<Acc>)(s, channels_last, at::get_num_threads());
  const auto dw = widened<T>(depthwise, depthwise.numel());
  const auto db = widened<T>(depthwise_bias, s.channels);
  const auto pb = widened<T>(pointwise_bias, s.out_channels);
  const auto pw = make_buffer<Acc>(plan.packed);
  FASTCV_ISA_CALL(pack_pointwise<T, Acc>)(pointwise.const_data_ptr<T>(), s, channels_last,
                                          pw.get());
  auto run_channels_last = FASTCV_ISA_CALL(separable_channels_last<false, T, Acc>);
#if defined(__x86_64__)
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    if (channels_last && multiplies_bfloat16()) {
      constexpr int64_t width = isa_avx512::tile_columns<float>;
      for (int64_t panel = 0; panel < plan.packed; panel += s.channels * width) {
        isa_avx512::pair_rows(s.channels, width, pw.get() + panel);
      }
      run_channels_last = isa_avx512::separable_channels_last<true, T, Acc>;
    }
  }
#endif
  std::vector<int64_t> offsets;  // of every tap
  for (int64_t i = 0; i < s.kernel_height; ++i) {
    for (int64_t j = 0; j < s.kernel_width; ++j) offsets.push_back(tap_offset(s, plan, i, j));
  }
  const T* x = input.const_data_ptr<T>();
  T* out = output.mutable_data_ptr<T>();
  at::parallel_for(0, s.batch * plan.tiles, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = make_buffer<Acc>(plan.scratch);
    std::fill_n(scratch.get(), plan.scratch, Acc(0));
    for (int64_t job = begin; job < end; ++job) {
      if (channels_last) {
        run_channels_last(x, dw.get(), db.get(), pw.get(), pb.get(), out, s, plan, job,
                          scratch.get());
      } else {
        const SeparableTile tile(s, plan, job);
        FASTCV_ISA_CALL(separable_nchw<T, Acc>)(x, dw.get(), db.get(), pw.get(), pb.get(), out, s,
                                                plan, tile, offsets.data(), scratch.get());
      }
    }
  });
}

at::Tensor atrous_separable_conv2d_cpu(const at::Tensor& input, const at::Tensor& depthwise_weight,
                                       const at::Tensor& pointwise_weight,
                                       const std::optional<at::Tensor>& depthwise_bias,
                                       const std::optional<at::Tensor>& pointwise_bias,
                                       at::IntArrayRef stride, at::IntArrayRef padding,
                                       at::IntArrayRef dilation,
                                       std::optional<std::string_view> activation) {
  const SeparableShape s =
      check_atrous_separable_conv2d(input, depthwise_weight, pointwise_weight, depthwise_bias,
                                    pointwise_bias, stride, padding, dilation, activation);
  const auto format = input.suggest_memory_format();
  const at::Tensor output =
      empty_on_huge_pages(input, {s.batch, s.out_channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output;
  if (input.numel() == 0) return fill_with_bias(output, pointwise_bias);
  const bool channels_last = format == at::MemoryFormat::ChannelsLast;
  const at::Tensor x = input.contiguous(format);
  const at::Tensor dw = channels_last ? depthwise_weight.permute({2, 3, 1, 0}).contiguous()
                                      : depthwise_weight.contiguous();
  const at::Tensor pw = pointwise_weight.contiguous();
  const auto dense = [](const std::optional<at::Tensor>& bias) {
    return bias ? bias->contiguous() : at::Tensor();
  };
  const at::Tensor db = dense(depthwise_bias), pb = dense(pointwise_bias);
  dispatch_floating(input.scalar_type(), "atrous_separable_conv2d", "input",
                    [&]<typename T>() { run<T>(x, dw, pw, db, pb, s, channels_last, output); });
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("atrous_separable_conv2d", atrous_separable_conv2d_cpu);
  m.impl("_atrous_separable_conv2d_backward", atrous_separable_conv2d_backward);
}

}  // namespace fastcv
