// CPU launcher: a task is a heatmap.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>

#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "decode_heatmaps/decode_heatmaps.h"

#define FASTCV_CPU_KERNEL "decode_heatmaps/decode_heatmaps_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

template <typename T>
void decode(const at::Tensor& heatmaps, PeakKind kind, T* points, T* scores) {
  using Acc = acc_t<T>;
  const T* data = heatmaps.const_data_ptr<T>();
  const auto height = static_cast<int32_t>(heatmaps.size(-2));
  const auto width = static_cast<int32_t>(heatmaps.size(-1));
  const int64_t cells = int64_t{height} * width;
  at::parallel_for(0, heatmaps.numel() / cells, 65536 / cells + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* own = data + i * cells;
      const int64_t cell = FASTCV_ISA_CALL(highest_cell<T, Acc>)(own, cells);
      const Acc score =
          cell < 0 ? std::numeric_limits<Acc>::quiet_NaN() : static_cast<Acc>(own[cell]);
      const auto row = static_cast<int32_t>(cell / width),
                 column = static_cast<int32_t>(cell % width);
      Acc x = cell < 0 ? score : static_cast<Acc>(column),
          y = cell < 0 ? score : static_cast<Acc>(row);
      if (score > 0 && std::isfinite(score)) {
        const T* line = own + int64_t{row} * width;
        x = top_of_bump<Acc>(column, width, score, kind,
                             [=](int32_t j) { return static_cast<Acc>(line[j]); });
        y = top_of_bump<Acc>(row, height, score, kind, [=](int32_t j) {
          return static_cast<Acc>(own[int64_t{j} * width + column]);
        });
      }
      points[2 * i] = static_cast<T>(x), points[2 * i + 1] = static_cast<T>(y);
      scores[i] = static_cast<T>(score);
    }
  });
}

std::tuple<at::Tensor, at::Tensor> decode_heatmaps_cpu(const at::Tensor& heatmaps,
                                                       std::string_view kind) {
  const PeakKind peak = check_decode_heatmaps(heatmaps, kind);
  c10::DimVector shape(heatmaps.sizes().begin(), heatmaps.sizes().end() - 2);
  const at::Tensor scores = at::empty(shape, heatmaps.options());
  shape.push_back(2);
  const at::Tensor points = at::empty(shape, heatmaps.options());
  dispatch_floating(heatmaps.scalar_type(), "decode_heatmaps", "heatmaps", [&]<typename T>() {
    decode<T>(heatmaps.contiguous(), peak, points.mutable_data_ptr<T>(),
              scores.mutable_data_ptr<T>());
  });
  return {points, scores};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("decode_heatmaps", decode_heatmaps_cpu); }

}  // namespace fastcv
