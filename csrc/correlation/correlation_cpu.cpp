// CPU launcher: a task is a few rows of at most 128 columns. What it reads is laid out for it, a
// block of channels at a time: padded with zeros, in the type that is computed in, and so that a
// pixel's channels do not all fall into the same part of the cache.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "common/cpu/buffer.h"
#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "correlation/correlation.h"

#define FASTCV_CPU_KERNEL "correlation/correlation_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t block = 32;  // channels that are laid out together
constexpr int64_t max_rows = 4, max_columns = 128;
constexpr int64_t sums_in_cache = int64_t{1} << 16;

// A task's rows and columns, and how it is laid out.
struct Tile {
  int64_t rows, columns, stride;

  explicit Tile(const CorrelationShape& s)
      : columns(std::min(max_columns, round_up(s.width, 16))),
        stride(round_up(columns + 2 * s.radius, 16)) {
    if (stride / 16 % 2 == 0) stride += 16;
    const int64_t fit = sums_in_cache / (s.displacements() * columns);
    rows = std::min(s.height, std::clamp<int64_t>(fit, 1, max_rows));
  }
};

// f(image, first row, rows, first column, columns) for all tiles of all images.
template <typename F>
void for_each_tile(const CorrelationShape& s, const Tile& tile, int64_t begin, int64_t end, F f) {
  const int64_t across = ceil_div(s.width, tile.columns), down = ceil_div(s.height, tile.rows);
  for (int64_t job = begin; job < end; ++job) {
    const int64_t y = job / across % down * tile.rows, x = job % across * tile.columns;
    f(job / across / down, y, std::min(tile.rows, s.height - y), x,
      std::min(tile.columns, s.width - x));
  }
}

int64_t tiles_of(const CorrelationShape& s, const Tile& tile) {
  return s.batch * ceil_div(s.width, tile.columns) * ceil_div(s.height, tile.rows);
}

// Columns [first, first + n) of a plane's row; zeros where there are none.
template <typename T, typename Acc>
void lay_out_row(const CorrelationShape& s, const T* plane, int64_t row, int64_t first, int64_t n,
                 Acc* to) {
  const int64_t begin = std::clamp<int64_t>(-first, 0, n);
  const int64_t end = std::clamp<int64_t>(s.width - first, begin, n);
  if (row < 0 || row >= s.height) return static_cast<void>(std::fill_n(to, n, Acc(0)));
  std::fill_n(to, begin, Acc(0));
  FASTCV_ISA_CALL(widen<T, Acc>)(plane + row * s.width + first + begin, end - begin, to + begin);
  std::fill_n(to + end, n - end, Acc(0));
}

// [rows, block, stride]: rows of a few channels from `row` on, columns from `first` on.
template <typename T, typename Acc>
void lay_out(const CorrelationShape& s, const T* planes, int64_t channels, int64_t row,
             int64_t rows, int64_t first, int64_t stride, Acc* to) {
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t c = 0; c < channels; ++c) {
      lay_out_row(s, planes + c * s.pixels(), row + y, first, stride,
                  to + (y * block + c) * stride);
    }
  }
}

template <typename T, typename Acc>
void correlate(const CorrelationShape& s, const T* a, const T* b, T* output) {
  const Tile tile(s);
  const int64_t n = s.displacements(), side = s.side(), r = s.radius;
  const Acc share = Acc(1) / static_cast<Acc>(s.channels);
  at::parallel_for(0, tiles_of(s, tile), 1, [&](int64_t begin, int64_t end) {
    const auto rows_a = make_buffer<Acc>(tile.rows * block * tile.stride);
    const auto rows_b = make_buffer<Acc>((tile.rows + 2 * r) * block * tile.stride);
    const auto sums = make_buffer<Acc>(tile.rows * n * tile.columns);
    for_each_tile(s, tile, begin, end,
                  [&](int64_t image, int64_t y0, int64_t rows, int64_t x0, int64_t columns) {
                    std::fill_n(sums.get(), rows * n * tile.columns, Acc(0));
                    for (int64_t c = 0; c < s.channels; c += block) {
                      const int64_t here = std::min(block, s.channels - c);
                      const int64_t planes = (image * s.channels + c) * s.pixels();
                      lay_out(s, a + planes, here, y0, rows, x0, tile.stride, rows_a.get());
                      lay_out(s, b + planes, here, y0 - r, rows + 2 * r, x0 - r, tile.stride,
                              rows_b.get());
                      for (int64_t y = 0; y < rows; ++y) {
                        for (int64_t dy = 0; dy < side; ++dy) {
                          FASTCV_ISA_CALL(correlate_row<Acc>)(
                              rows_a.get() + y * block * tile.stride,
                              rows_b.get() + (y + dy) * block * tile.stride, tile.stride, here,
                              tile.columns, side, sums.get() + (y * n + dy * side) * tile.columns);
                        }
                      }
                    }
                    for (int64_t y = 0; y < rows; ++y) {
                      for (int64_t d = 0; d < n; ++d) {
                        T* to = output + ((image * n + d) * s.height + y0 + y) * s.width + x0;
                        FASTCV_ISA_CALL(scale_row<T, Acc>)(sums.get() + (y * n + d) * tile.columns,
                                                           columns, share, to);
                      }
                    }
                  });
  });
}

// The gradient of a. That of b is the same function of a and of the displacements turned about:
// what b's pixel at (y, x) gave at (y + dy, x + dx) of a was counted there as (-dy, -dx).
template <typename T, typename Acc>
void differentiate(const CorrelationShape& s, const T* grad, bool turned, const T* other, T* out) {
  const Tile tile(s);
  const int64_t n = s.displacements(), side = s.side(), r = s.radius;
  const Acc share = Acc(1) / static_cast<Acc>(s.channels);
  at::parallel_for(0, tiles_of(s, tile), 1, [&](int64_t begin, int64_t end) {
    const auto grads = make_buffer<Acc>(tile.rows * n * tile.columns);
    const auto rows_b = make_buffer<Acc>((tile.rows + 2 * r) * block * tile.stride);
    const auto sums = make_buffer<Acc>(block * tile.columns);
    for_each_tile(s, tile, begin, end,
                  [&](int64_t image, int64_t y0, int64_t rows, int64_t x0, int64_t columns) {
                    for (int64_t y = 0; y < rows; ++y) {
                      for (int64_t d = 0; d < n; ++d) {
                        const int64_t dy = turned ? d / side - r : 0,
                                      dx = turned ? d % side - r : 0;
                        lay_out_row(s, grad + (image * n + (turned ? n - 1 - d : d)) * s.pixels(),
                                    y0 + y + dy, x0 + dx, tile.columns,
                                    grads.get() + (y * n + d) * tile.columns);
                      }
                    }
                    for (int64_t c = 0; c < s.channels; c += block) {
                      const int64_t here = std::min(block, s.channels - c);
                      const int64_t planes = (image * s.channels + c) * s.pixels();
                      lay_out(s, other + planes, here, y0 - r, rows + 2 * r, x0 - r, tile.stride,
                              rows_b.get());
                      for (int64_t y = 0; y < rows; ++y) {
                        FASTCV_ISA_CALL(gradient_row<Acc>)(
                            grads.get() + y * n * tile.columns, tile.columns,
                            rows_b.get() + y * block * tile.stride, block * tile.stride,
                            tile.stride, side, here, sums.get());
                        for (int64_t i = 0; i < here; ++i) {
                          T* to = out + planes + i * s.pixels() + (y0 + y) * s.width + x0;
                          FASTCV_ISA_CALL(scale_row<T, Acc>)(sums.get() + i * tile.columns, columns,
                                                             share, to);
                        }
                      }
                    }
                  });
  });
}

at::Tensor correlation_cpu(const at::Tensor& a, const at::Tensor& b, int64_t radius) {
  check_correlation(a, b, radius);
  const CorrelationShape s = correlation_shape(a, radius);
  const auto format = a.suggest_memory_format();
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  const at::Tensor output = empty_on_huge_pages(x, {s.batch, s.displacements(), s.height, s.width});
  if (a.numel() == 0) return output.zero_().contiguous(format);
  dispatch_floating(a.scalar_type(), "correlation", "a", [&]<typename T>() {
    correlate<T, acc_t<T>>(s, x.const_data_ptr<T>(), y.const_data_ptr<T>(),
                           output.mutable_data_ptr<T>());
  });
  return output.contiguous(format);
}

std::tuple<at::Tensor, at::Tensor> correlation_backward_cpu(const at::Tensor& grad,
                                                            const at::Tensor& a,
                                                            const at::Tensor& b, int64_t radius,
                                                            bool of_a, bool of_b) {
  check_correlation_backward(grad, a, b, radius);
  const CorrelationShape s = correlation_shape(a, radius);
  const at::Tensor by_output = grad.contiguous();
  const auto gradient = [&](bool turned, const at::Tensor& like, const at::Tensor& other) {
    const at::Tensor dense = other.contiguous();
    const at::Tensor out = at::empty_like(dense);
    if (a.numel() > 0) {
      dispatch_floating(a.scalar_type(), "correlation", "a", [&]<typename T>() {
        differentiate<T, acc_t<T>>(s, by_output.const_data_ptr<T>(), turned,
                                   dense.const_data_ptr<T>(), out.mutable_data_ptr<T>());
      });
    }
    return out.contiguous(like.suggest_memory_format());
  };
  return {of_a ? gradient(false, a, b) : at::empty({0}, a.options()),
          of_b ? gradient(true, b, a) : at::empty({0}, b.options())};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("correlation", correlation_cpu);
  m.impl("_correlation_backward", correlation_backward_cpu);
}

}  // namespace fastcv
