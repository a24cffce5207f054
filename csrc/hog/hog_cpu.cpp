// CPU launcher: a task is a row of cells; then a task is a row of blocks.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "hog/hog.h"

#define FASTCV_CPU_KERNEL "hog/hog_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// The histograms of one row of cells of an image [C, H, W].
template <typename T, typename Acc>
void row_of_cells(const T* image, const HogShape& s, const std::vector<Acc>& borders,
                  int64_t cell_y, Acc* histograms) {
  const int64_t w = s.width;
  std::vector<Acc> rows(3 * w), gradient(3 * w);
  std::vector<int32_t> bins(w);
  Acc *dx = gradient.data(), *dy = dx + w, *length = dy + w;
  std::fill_n(histograms, s.cells_x * s.orientations, Acc(0));
  for (int64_t y = cell_y * s.cell; y < (cell_y + 1) * s.cell; ++y) {
    std::fill(gradient.begin(), gradient.end(), Acc(0));
    const bool border = y == 0 || y == s.height - 1;
    for (int64_t c = 0; c < s.channels; ++c) {
      const Acc* beside[3];
      for (int i = 0; i < 3; ++i) {
        const T* row = image + (c * s.height + (border ? y : y - 1 + i)) * w;
        if constexpr (std::is_same_v<T, Acc>) {
          beside[i] = row;
        } else {
          FASTCV_ISA_CALL(widen<T, Acc>)(row, w, &rows[i * w]);
          beside[i] = &rows[i * w];
        }
      }
      FASTCV_ISA_CALL(longest_gradient<Acc>)(beside[0], beside[1], beside[2], w, dx, dy, length);
    }
    FASTCV_ISA_CALL(gradient_bins<Acc>)
    (dx, dy, w, borders.data(), s.orientations, bins.data(), length);
    for (int64_t cell = 0; cell < s.cells_x; ++cell) {
      Acc* histogram = histograms + cell * s.orientations;
      for (int64_t x = cell * s.cell; x < (cell + 1) * s.cell; ++x) histogram[bins[x]] += length[x];
    }
  }
  const Acc share = Acc(1) / static_cast<Acc>(s.cell * s.cell);
  for (int64_t i = 0; i < s.cells_x * s.orientations; ++i) histograms[i] *= share;
}

template <typename Acc>
void scale_to_length_1(std::vector<Acc>& block, Acc max) {
  Acc squares = Acc(1e-10);
  for (const Acc x : block) squares += x * x;
  const Acc scale = 1 / std::sqrt(squares);
  for (Acc& x : block) x = std::min(x * scale, max);
}

at::Tensor hog_cpu(const at::Tensor& images, int64_t orientations, int64_t cell_size,
                   int64_t block_size) {
  const HogShape s = hog_shape(images, orientations, cell_size, block_size);
  const at::Tensor source = images.contiguous();
  const at::Tensor descriptors = at::empty(s.output(), images.options());
  dispatch_floating(images.scalar_type(), "hog", "images", [&]<typename T>() {
    using Acc = acc_t<T>;
    const std::vector<double> exact = hog_borders(orientations);
    const std::vector<Acc> borders(exact.begin(), exact.end());
    const int64_t row = s.cells_x * orientations;
    std::vector<Acc> cells(s.batch * s.cells_y * row);
    at::parallel_for(0, s.batch * s.cells_y, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const T* image =
            source.const_data_ptr<T>() + i / s.cells_y * s.channels * s.height * s.width;
        row_of_cells(image, s, borders, i % s.cells_y, &cells[i * row]);
      }
    });
    at::parallel_for(0, s.batch * s.blocks_y, 1, [&](int64_t first, int64_t last) {
      std::vector<Acc> block(s.in_block());
      for (int64_t i = first; i < last; ++i) {
        const Acc* above = &cells[(i / s.blocks_y * s.cells_y + i % s.blocks_y) * row];
        T* out = descriptors.mutable_data_ptr<T>() + i * s.blocks_x * s.in_block();
        for (int64_t x = 0; x < s.blocks_x; ++x) {
          for (int64_t y = 0; y < block_size; ++y) {
            std::copy_n(above + y * row + x * orientations, block_size * orientations,
                        &block[y * block_size * orientations]);
          }
          scale_to_length_1(block, Acc(0.2));
          scale_to_length_1(block, Acc(1));
          for (const Acc value : block) *out++ = static_cast<T>(value);
        }
      }
    });
  });
  return descriptors;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("hog", hog_cpu); }

}  // namespace fastcv
