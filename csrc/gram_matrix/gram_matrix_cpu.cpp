// CPU launcher. A task owns some rows of tiles (of the lower triangle) of one image and some of its
// pixels: it packs some hundred pixels of all channels, for the L2 cache, and multiplies panels of
// them 256 pixels at a time, for the L1 cache.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "common/cpu/cpu_bfloat16.h"
#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "gram_matrix/gram_matrix.h"

#define FASTCV_CPU_KERNEL "gram_matrix/gram_matrix_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t panel = 16;  // channels
constexpr int64_t multiplied_pixels = 256;
constexpr int64_t tile = panel * panel;

int64_t tiles_before(int64_t row) { return row * (row + 1) / 2; }

// How the work is split: by shape alone, so that sums do not depend on the threads.
struct Split {
  int64_t panels, pixels, parts, groups, packed_pixels;

  Split(int64_t batch, int64_t channels, int64_t pixels, int64_t element_bytes) : pixels(pixels) {
    constexpr int64_t tasks = 16, shared_bytes = int64_t{16} << 20, own_bytes = int64_t{8} << 20;
    panels = ceil_div(channels, panel);
    const int64_t triangle = tiles_before(panels) * tile * element_bytes;
    const int64_t per_image = ceil_div(tasks, batch);
    // Parts of the pixels are worth it while there are many and their sums are small.
    parts = std::max<int64_t>(
        1, std::min({per_image, pixels / 2048, shared_bytes / (batch * triangle)}));
    groups = std::max<int64_t>(1, std::min(per_image / parts, panels / 8));
    groups = std::max(groups, ceil_div(triangle, own_bytes));
    groups = std::min(groups, panels);
    // All panels in 512 KiB, a usual L2 cache; of few channels, long runs of each.
    packed_pixels = std::clamp((int64_t{512} << 10) / element_bytes / (panels * panel) / 64 * 64,
                               int64_t{64}, int64_t{1024});
  }

  // The first row of tiles of a group: groups have about as many tiles each.
  int64_t first_row(int64_t group) const {
    return std::llround(static_cast<double>(panels) *
                        std::sqrt(static_cast<double>(group) / static_cast<double>(groups)));
  }
  int64_t first_pixel(int64_t part) const {
    const int64_t blocks = ceil_div(pixels, packed_pixels);
    return std::min(pixels, blocks * part / parts * packed_pixels);
  }
};

// The products of bfloat16 panels, two pixels at a time; false where the processor has none.
template <typename T, typename Acc>
bool multiply_as_pairs(int64_t row, int64_t end, int64_t packed_pixels, int64_t count, Acc* packed,
                       Acc* sums) {
#if defined(__x86_64__)
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    if (!multiplies_bfloat16()) return false;
    const int64_t pairs = ceil_div(count, 2);
    for (int64_t p = 0; p < end; ++p) {
      isa_avx512::pair_rows(count, panel, packed + p * packed_pixels * panel);
    }
    for (int64_t k = 0; k < pairs; k += multiplied_pixels) {
      float* out = sums;
      for (int64_t i = row; i < end; ++i) {
        for (int64_t j = 0; j <= i; ++j, out += tile) {
          isa_avx512::multiply_pairs(packed + (i * packed_pixels + k) * panel,
                                     packed + (j * packed_pixels + k) * panel,
                                     std::min(multiplied_pixels, pairs - k), out);
        }
      }
    }
    return true;
  }
#endif
  return false;
}

// The sums of rows [row, end) of tiles over pixels [k, k_end) of an image, a tile after the other.
template <typename T, typename Acc>
void multiply(const at::Tensor& image, int64_t packed_pixels, int64_t row, int64_t end, int64_t k,
              int64_t k_end, Acc* packed, Acc* sums) {
  const int64_t channels = image.size(0), channel_stride = image.stride(0);
  const int64_t pixel_stride = image.stride(1);
  const T* data = image.const_data_ptr<T>();
  std::fill_n(sums, (tiles_before(end) - tiles_before(row)) * tile, Acc(0));
  for (; k < k_end; k += packed_pixels) {
    const int64_t count = std::min(packed_pixels, k_end - k);
    for (int64_t p = 0; p < end; ++p) {
      FASTCV_ISA_CALL(pack_panel<T, Acc>)(data + p * panel * channel_stride + k * pixel_stride,
                                          channel_stride, pixel_stride,
                                          static_cast<int>(std::min(panel, channels - p * panel)),
                                          count, packed + p * packed_pixels * panel);
    }
    if (multiply_as_pairs<T>(row, end, packed_pixels, count, packed, sums)) continue;
    for (int64_t m = 0; m < count; m += multiplied_pixels) {
      const int64_t pixels = std::min(multiplied_pixels, count - m);
      const auto packed_panel = [&](int64_t p) { return packed + (p * packed_pixels + m) * panel; };
      Acc* out = sums;
      for (int64_t i = row; i < end; ++i, out += tile) {
        for (int64_t j = 0; j < i; ++j, out += tile) {
          FASTCV_ISA_CALL(multiply_panels<Acc>)(packed_panel(i), packed_panel(j), pixels, out);
        }
        FASTCV_ISA_CALL(square_panel<Acc>)(packed_panel(i), pixels, out);
      }
    }
  }
}

// Row `row` of tiles, and its mirror image: sums of `parts`, `stride` apart, in order.
template <typename T, typename Acc>
void write_row(const Acc* sums, int64_t parts, int64_t stride, int64_t row, int64_t channels,
               Acc scale, T* gram) {
  for (int64_t j = 0; j <= row; ++j, sums += tile) {
    for (int64_t y = 0; y < std::min(panel, channels - row * panel); ++y) {
      const int64_t width = j == row ? y + 1 : panel;  // the rest is mirrored
      for (int64_t x = 0; x < width; ++x) {
        Acc sum = sums[y * panel + x];
        for (int64_t s = 1; s < parts; ++s) sum += sums[s * stride + y * panel + x];
        const T value = static_cast<T>(sum * scale);
        const int64_t a = row * panel + y, b = j * panel + x;
        gram[a * channels + b] = value;
        gram[b * channels + a] = value;
      }
    }
  }
}

at::Tensor gram_matrix_cpu(const at::Tensor& features, bool normalize) {
  check_gram_matrix(features);
  const int64_t batch = features.size(0), channels = features.size(1);
  const at::Tensor gram = at::empty({batch, channels, channels}, features.options());
  if (gram.numel() == 0) return gram;
  const at::Tensor source = as_channels_and_pixels(features);
  dispatch_floating(features.scalar_type(), "gram_matrix", "features", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Split split(batch, channels, source.size(2), sizeof(Acc));
    const Acc scale = static_cast<Acc>(gram_scale(features, normalize));
    T* out = gram.mutable_data_ptr<T>();
    const int64_t triangle = tiles_before(split.panels) * tile;
    // Parts of sums that wait for the others.
    const std::unique_ptr<Acc[]> shared(split.parts > 1 ? new Acc[batch * split.parts * triangle]
                                                        : nullptr);
    const int64_t per_image = split.parts * split.groups;
    at::parallel_for(0, batch * per_image, 1, [&](int64_t first, int64_t last) {
      const std::unique_ptr<Acc[]> packed(new Acc[split.panels * split.packed_pixels * panel]);
      std::vector<Acc> own;
      for (int64_t task = first; task < last; ++task) {
        const int64_t b = task / per_image, part = task / split.groups % split.parts;
        const int64_t group = task % split.groups;
        const int64_t row = split.first_row(group), end = split.first_row(group + 1);
        Acc* sums;
        if (split.parts > 1) {
          sums = shared.get() + (b * split.parts + part) * triangle + tiles_before(row) * tile;
        } else {
          own.resize((tiles_before(end) - tiles_before(row)) * tile);
          sums = own.data();
        }
        multiply<T, Acc>(source[b], split.packed_pixels, row, end, split.first_pixel(part),
                         split.first_pixel(part + 1), packed.get(), sums);
        if (split.parts > 1) continue;
        for (int64_t i = row; i < end; ++i) {
          write_row(sums + (tiles_before(i) - tiles_before(row)) * tile, 1, 0, i, channels, scale,
                    out + b * channels * channels);
        }
      }
    });
    if (split.parts == 1) return;
    at::parallel_for(0, batch * split.panels, 4, [&](int64_t first, int64_t last) {
      for (int64_t task = first; task < last; ++task) {
        const int64_t b = task / split.panels, i = task % split.panels;
        write_row(shared.get() + b * split.parts * triangle + tiles_before(i) * tile, split.parts,
                  triangle, i, channels, scale, out + b * channels * channels);
      }
    });
  });
  return gram;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("gram_matrix", gram_matrix_cpu); }

}  // namespace fastcv
