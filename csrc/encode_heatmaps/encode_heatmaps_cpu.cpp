// CPU launcher: a task is a heatmap.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/cpu/buffer.h"
#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "encode_heatmaps/encode_heatmaps.h"

#define FASTCV_CPU_KERNEL "encode_heatmaps/encode_heatmaps_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t cells_at_once = 32768;  // of a task
constexpr int64_t slack = 32;             // a vector may be read and written from any cell on

template <typename T>
void encode(const at::Tensor& points, int64_t height, int64_t width, const BumpScales& scales,
            T* heatmaps) {
  using Acc = acc_t<T>;
  const T* xy = points.const_data_ptr<T>();
  const int64_t cells = height * width;
  at::parallel_for(
      0, points.numel() / 2, cells_at_once / cells + 1, [&](int64_t begin, int64_t end) {
        const auto row = make_buffer<Acc>(width + slack), column = make_buffer<Acc>(height + slack);
        for (int64_t i = begin; i < end; ++i) {
          const Acc x = static_cast<Acc>(xy[2 * i]), y = static_cast<Acc>(xy[2 * i + 1]);
          T* heatmap = heatmaps + i * cells;
          if (!std::isfinite(x) || !std::isfinite(y)) {
            std::fill_n(heatmap, cells, T(0));
            continue;
          }
          FASTCV_ISA_CALL(encode_heatmap<T, Acc>)
          (x, y, height, width, scales, row.get(), column.get(), heatmap);
        }
      });
}

template <typename T>
void differentiate(const at::Tensor& grad, const at::Tensor& points, const BumpScales& scales,
                   T* by_points) {
  using Acc = acc_t<T>;
  const T *xy = points.const_data_ptr<T>(), *heatmaps = grad.const_data_ptr<T>();
  const int64_t height = grad.size(-2), width = grad.size(-1), cells = height * width;
  at::parallel_for(
      0, points.numel() / 2, cells_at_once / (cells + 1) + 1, [&](int64_t begin, int64_t end) {
        const auto row = make_buffer<Acc>(width + slack), moved = make_buffer<Acc>(width + slack);
        const auto column = make_buffer<Acc>(height + slack);
        for (int64_t i = begin; i < end; ++i) {
          const Acc x = static_cast<Acc>(xy[2 * i]), y = static_cast<Acc>(xy[2 * i + 1]);
          Acc by_x = 0, by_y = 0;
          if (std::isfinite(x) && std::isfinite(y)) {
            FASTCV_ISA_CALL(differentiate_heatmap<T, Acc>)
            (heatmaps + i * cells, x, y, height, width, scales, row.get(), moved.get(),
             column.get(), &by_x, &by_y);
          }
          by_points[2 * i] = static_cast<T>(by_x), by_points[2 * i + 1] = static_cast<T>(by_y);
        }
      });
}

at::Tensor encode_heatmaps_cpu(const at::Tensor& points, int64_t height, int64_t width,
                               double sigma, std::string_view kind, bool scaled) {
  check_encode_heatmaps(points, height, width, sigma, kind);
  c10::DimVector shape(points.sizes().begin(), points.sizes().end() - 1);
  shape.append({height, width});
  const at::Tensor heatmaps = at::empty(shape, points.options());
  advise_huge_pages(heatmaps);
  dispatch_floating(points.scalar_type(), "encode_heatmaps", "points", [&]<typename T>() {
    encode<T>(points.contiguous(), height, width, bump_scales(sigma, kind, scaled),
              heatmaps.mutable_data_ptr<T>());
  });
  return heatmaps;
}

at::Tensor encode_heatmaps_backward_cpu(const at::Tensor& grad, const at::Tensor& points,
                                        double sigma, std::string_view kind, bool scaled) {
  check_encode_heatmaps_backward(grad, points, sigma, kind);
  const at::Tensor by_points = at::empty(points.sizes(), points.options());
  dispatch_floating(points.scalar_type(), "encode_heatmaps", "points", [&]<typename T>() {
    differentiate<T>(grad.contiguous(), points.contiguous(), bump_scales(sigma, kind, scaled),
                     by_points.mutable_data_ptr<T>());
  });
  return by_points;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("encode_heatmaps", encode_heatmaps_cpu);
  m.impl("_encode_heatmaps_backward", encode_heatmaps_backward_cpu);
}

}  // namespace fastcv
