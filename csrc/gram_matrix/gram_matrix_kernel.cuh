// A block makes one tile of 64 x 64 products of the lower triangle over a fixed run of pixels; a
// second kernel adds the runs in order and writes tile and mirror image.
#pragma once

#include <cstdint>

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/mma.cuh"
#include "common/pack.cuh"
#include "gram_matrix/gram_matrix_kernel.h"

namespace fastcv::cuda {

namespace gram {
constexpr int side = 64;  // channels of a tile
constexpr int64_t tile = side * side;

// How the work is split: by shape alone, so that sums are the same everywhere.
struct Split {
  int64_t rows, tiles, runs, run;  // rows of tiles; tiles of an image; runs of pixels, of a tile

  Split(int64_t batch, int64_t channels, int64_t pixels) {
    constexpr int64_t blocks = 512, least = 256, parts = int64_t{8} << 20;  // 32 MiB of float
    rows = (channels + side - 1) / side;
    tiles = rows * (rows + 1) / 2;
    runs = blocks / (batch * tiles);
    if (runs > pixels / least) runs = pixels / least;
    if (runs > parts / (batch * tiles * tile)) runs = parts / (batch * tiles * tile);
    if (runs < 1) runs = 1;
    run = ((pixels + runs - 1) / runs + 31) / 32 * 32;
  }
};
}  // namespace gram

// The row and column of a tile, counted along the rows of the lower triangle.
__device__ __forceinline__ void tile_place(int64_t index, int64_t& row, int64_t& column) {
  row = static_cast<int64_t>((sqrt(8.0 * static_cast<double>(index) + 1) - 1) / 2);
  while ((row + 1) * (row + 2) / 2 <= index) ++row;
  while (row * (row + 1) / 2 > index) --row;
  column = index - row * (row + 1) / 2;
}

// Calls store(channel, pixel, value) for `count` x `depth` elements of an image from (channel,
// pixel) on, 0 beyond `channels` and `end`. `pack` neighbours, in pixels or in channels, are read
// at once.
template <int pack, bool along_pixels, int depth, int threads, typename T, typename F>
__device__ __forceinline__ void load_tile(const GramArguments<T>& a, const T* image,
                                          int64_t channel, int64_t pixel, int64_t end, F store) {
  constexpr int line = along_pixels ? depth : gram::side;
#pragma unroll 4
  for (int i = threadIdx.x * pack; i < gram::side * depth; i += threads * pack) {
    const int c = along_pixels ? i / line : i % line, k = along_pixels ? i % line : i / line;
    const bool inside = channel + c < a.channels && pixel + k < end;
    Pack<T, pack> values = {};
    if (inside) {
      values = *reinterpret_cast<const Pack<T, pack>*>(image + (channel + c) * a.channel_stride +
                                                       (pixel + k) * a.pixel_stride);
    }
#pragma unroll
    for (int j = 0; j < pack; ++j) {
      store(along_pixels ? c : c + j, along_pixels ? k + j : k, values.item[j]);
    }
  }
}

// What a block of either kernel works on.
template <typename T>
struct GramBlock {
  const T* image;
  int64_t row, column, begin, end;  // first channels of the tile's sides; pixels

  __device__ GramBlock(const GramArguments<T>& a, int64_t run)
      : image(a.features + blockIdx.z * a.image_stride), begin(blockIdx.y * run) {
    tile_place(blockIdx.x, row, column);
    row *= gram::side;
    column *= gram::side;
    end = begin + run < a.pixels ? begin + run : a.pixels;
  }
  // Of this block, in parts [image, run, tile, 64, 64].
  __device__ acc_t<T>* part(acc_t<T>* parts) const {
    return parts +
           ((int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x) * gram::tile;
  }
};

// 64 threads, each 8 x 8 products in registers.
template <typename T, int pack, bool along_pixels>
__global__ void __launch_bounds__(64)
    gram_kernel(GramArguments<T> a, int64_t run, acc_t<T>* __restrict__ parts) {
  using Acc = acc_t<T>;
  constexpr int depth = 16;
  FASTCV_SHARED(Acc, left, [depth][gram::side + 4]);
  FASTCV_SHARED(Acc, right, [depth][gram::side + 4]);
  const GramBlock<T> block(a, run);
  const bool square = block.row == block.column;
  const int y = threadIdx.x / 8 * 8, x = threadIdx.x % 8 * 8;
  Acc sum[8][8] = {};
  for (int64_t k = block.begin; k < block.end; k += depth) {
    __syncthreads();
    load_tile<pack, along_pixels, depth, 64>(
        a, block.image, block.row, k, block.end,
        [&](int c, int i, T value) { left[i][c] = widen(value); });
    if (!square) {
      load_tile<pack, along_pixels, depth, 64>(
          a, block.image, block.column, k, block.end,
          [&](int c, int i, T value) { right[i][c] = widen(value); });
    }
    __syncthreads();
    const auto& other = square ? left : right;
#pragma unroll
    for (int i = 0; i < depth; ++i) {
      Acc p[8], q[8];
#pragma unroll
      for (int j = 0; j < 8; ++j) p[j] = left[i][y + j], q[j] = other[i][x + j];
#pragma unroll
      for (int r = 0; r < 8; ++r) {
#pragma unroll
        for (int c = 0; c < 8; ++c) sum[r][c] = fma(p[r], q[c], sum[r][c]);
      }
    }
  }
  Acc* out = block.part(parts);
#pragma unroll
  for (int r = 0; r < 8; ++r) {
#pragma unroll
    for (int c = 0; c < 8; ++c) out[(y + r) * gram::side + x + c] = sum[r][c];
  }
}

// Half and bfloat16: 4 warps, each 32 x 32 products on the tensor cores. Rows of shared memory are
// 20 words apart, so that the 8 rows which a warp reads at once lie in different banks.
template <typename T, int pack, bool along_pixels>
__global__ void __launch_bounds__(128)
    gram_mma_kernel(GramArguments<T> a, int64_t run, float* __restrict__ parts) {
  constexpr int depth = 32, stride = depth + 8;
  FASTCV_SHARED(T, left, [gram::side][stride]);
  FASTCV_SHARED(T, right, [gram::side][stride]);
  const GramBlock<T> block(a, run);
  const bool square = block.row == block.column;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int g = lane / 4, t = lane % 4, y = warp / 2 * 32, x = warp % 2 * 32;
  const auto pair = [](const T* p) { return *reinterpret_cast<const uint32_t*>(p); };
  float sum[2][4][4] = {};
  for (int64_t k = block.begin; k < block.end; k += depth) {
    __syncthreads();
    load_tile<pack, along_pixels, depth, 128>(a, block.image, block.row, k, block.end,
                                              [&](int c, int i, T value) { left[c][i] = value; });
    if (!square) {
      load_tile<pack, along_pixels, depth, 128>(
          a, block.image, block.column, k, block.end,
          [&](int c, int i, T value) { right[c][i] = value; });
    }
    __syncthreads();
    const auto& other = square ? left : right;
#pragma unroll
    for (int i = 0; i < depth; i += 16) {
      uint32_t p[2][4], q[4][2];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const T* from = &left[y + 16 * m + g][i + 2 * t];
        p[m][0] = pair(from);
        p[m][1] = pair(from + 8 * stride);
        p[m][2] = pair(from + 8);
        p[m][3] = pair(from + 8 * stride + 8);
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const T* from = &other[x + 8 * n + g][i + 2 * t];
        q[n][0] = pair(from);
        q[n][1] = pair(from + 8);
      }
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int n = 0; n < 4; ++n) mma_16x8<T>(sum[m][n], p[m], q[n]);
      }
    }
  }
  float* out = block.part(parts);
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      float* at = out + (y + 16 * m + g) * gram::side + x + 8 * n + 2 * t;
      at[0] = sum[m][n][0], at[1] = sum[m][n][1];
      at[8 * gram::side] = sum[m][n][2], at[8 * gram::side + 1] = sum[m][n][3];
    }
  }
}

// A block for 16 rows of a tile.
template <typename T>
__global__ void __launch_bounds__(256)
    gram_write_kernel(const acc_t<T>* __restrict__ parts, int runs, int64_t channels,
                      acc_t<T> scale, T* __restrict__ gram_out) {
  int64_t row, column;
  tile_place(blockIdx.x, row, column);
  const int64_t image = blockIdx.z, tiles = gridDim.x;
  T* out = gram_out + image * channels * channels;
  for (int i = threadIdx.x; i < 16 * gram::side; i += 256) {
    const int64_t at = blockIdx.y * 16 * gram::side + i;
    const int64_t y = row * gram::side + at / gram::side, x = column * gram::side + at % gram::side;
    if (y >= channels || x >= channels || x > y) continue;  // the rest is mirrored
    acc_t<T> sum = 0;
    for (int r = 0; r < runs; ++r) {
      sum += parts[((image * runs + r) * tiles + blockIdx.x) * gram::tile + at];
    }
    const T value = narrow<T>(sum * scale);
    out[y * channels + x] = value;
    out[x * channels + y] = value;
  }
}

int64_t gram_parts(int64_t batch, int64_t channels, int64_t pixels) {
  const gram::Split split(batch, channels, pixels);
  return batch * split.runs * split.tiles * gram::tile;
}

template <int pack, bool along_pixels, typename T>
void launch_gram_tiles(const GramArguments<T>& a, const gram::Split& split, acc_t<T>* parts,
                       cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(split.tiles), static_cast<unsigned>(split.runs),
                  static_cast<unsigned>(a.batch));
  if constexpr (sizeof(T) == 2) {
    launch(gram_mma_kernel<T, pack, along_pixels>, grid, dim3(128), 0, stream, a, split.run, parts);
  } else {
    launch(gram_kernel<T, pack, along_pixels>, grid, dim3(64), 0, stream, a, split.run, parts);
  }
}

template <typename T>
void launch_gram_matrix(const GramArguments<T>& a, double scale, acc_t<T>* parts, T* out,
                        cudaStream_t stream) {
  if (a.batch == 0 || a.channels == 0) return;
  const gram::Split split(a.batch, a.channels, a.pixels);
  constexpr int wide = 16 / sizeof(T);
  const auto packs = [&](int64_t length, int64_t step, int64_t other_stride) {
    return step == 1 && length % wide == 0 && other_stride % wide == 0 &&
           a.image_stride % wide == 0 && reinterpret_cast<uintptr_t>(a.features) % 16 == 0;
  };
  if (packs(a.pixels, a.pixel_stride, a.channel_stride)) {
    launch_gram_tiles<wide, true>(a, split, parts, stream);
  } else if (packs(a.channels, a.channel_stride, a.pixel_stride)) {
    launch_gram_tiles<wide, false>(a, split, parts, stream);
  } else if (a.pixel_stride <= a.channel_stride) {
    launch_gram_tiles<1, true>(a, split, parts, stream);
  } else {
    launch_gram_tiles<1, false>(a, split, parts, stream);
  }
  launch(gram_write_kernel<T>,
         dim3(static_cast<unsigned>(split.tiles), gram::side / 16, static_cast<unsigned>(a.batch)),
         dim3(256), 0, stream, parts, static_cast<int>(split.runs), a.channels,
         static_cast<acc_t<T>>(scale), out);
}

}  // namespace fastcv::cuda
