// A block makes one square tile of products of the lower triangle over a fixed part of the pixels;
// a second kernel adds the parts in order and writes tile and mirror image.
#pragma once

#include <cstdint>

#include "common/cuda/async_copy.cuh"
#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/mma.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"
#include "gram_matrix/gram_matrix_kernel.h"

namespace fastcv::cuda {

namespace gram {
// Blocks that an SM is to hold at once, of tiles of side x side: the accumulators fill its
// registers.
constexpr int resident(int64_t side, int element_bytes) {
  return side == 64 ? 4 : element_bytes == 8 ? 1 : 2;
}

// How the work is split: by shape alone, so that sums are the same everywhere.
struct Split {
  int64_t side, tiles;           // channels of a tile; tiles of an image
  int64_t split_k, pixels_each;  // parts of the pixels, pixels of a part

  Split(int64_t batch, int64_t channels, int64_t pixels) {
    // Large tiles read less, and are taken where they make few products that nobody wants.
    const int64_t small = ceil_div(channels, 64);
    side = small >= 4 && small % 2 == 0 ? 128 : 64;
    const int64_t rows = ceil_div(channels, side);
    tiles = rows * (rows + 1) / 2;
    // As many blocks as the SMs of an H100 hold at once.
    constexpr int64_t sms = 132, min_pixels = 128;
    split_k = sms * resident(side, 4) / (batch * tiles);
    if (split_k > pixels / min_pixels) split_k = pixels / min_pixels;
    if (split_k < 1) split_k = 1;
    pixels_each = round_up(ceil_div(pixels, split_k), 32);
    if (pixels > 0) split_k = ceil_div(pixels, pixels_each);
  }
  int64_t parts(int64_t batch) const { return batch * split_k * tiles * side * side; }
};

// In shared memory a channel has 64 bytes of pixels at a time, 4 chunks of 16 bytes.
constexpr int chunks = 4, stages = 4;
template <typename T>
constexpr int wide = 16 / sizeof(T);
template <typename T>
constexpr int depth = chunks * wide<T>;

// Where a chunk lies: the eight chunks of rows 2i and 2i + 1 are in different banks, and so are
// those of a column of eight rows.
template <typename T>
__device__ __forceinline__ unsigned swizzled_offset(unsigned row, unsigned chunk) {
  return row * depth<T> + (chunk ^ (row / 2 % chunks)) * wide<T>;
}
}  // namespace gram

// The row and column of a tile, counted along the rows of the lower triangle.
__device__ __forceinline__ void tile_place(int64_t index, int64_t& row, int64_t& column) {
  row = static_cast<int64_t>((sqrt(8.0 * static_cast<double>(index) + 1) - 1) / 2);
  while ((row + 1) * (row + 2) / 2 <= index) ++row;
  while (row * (row + 1) / 2 > index) --row;
  column = index - row * (row + 1) / 2;
}

// What a block works on.
template <typename T, int side>
struct GramBlock {
  static constexpr int depth = gram::depth<T>;
  const GramArguments<T>& a;
  const T* image;
  int64_t row, column, begin, end;  // first channels of the tile's sides; pixels
  bool square;                      // on the diagonal: both sides are the same channels

  __device__ GramBlock(const GramArguments<T>& a, int64_t pixels_each)
      : a(a), image(a.features + blockIdx.z * a.image_stride), begin(blockIdx.y * pixels_each) {
    tile_place(blockIdx.x, row, column);
    square = row == column;
    row *= side;
    column *= side;
    end = begin + pixels_each < a.pixels ? begin + pixels_each : a.pixels;
  }

  // Of this block, in parts [image, part, tile, side, side].
  __device__ acc_t<T>* part(acc_t<T>* parts) const {
    return parts + ((int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x) *
                       (side * side);
  }

  // `depth` pixels from `pixel` on, of the channels of both sides, to [2 * side][depth]; 0 beyond
  // `channels` and `end`. With pack 1 elements are read one by one, else 16 bytes at once.
  template <int threads, int pack, bool along_pixels>
  __device__ __forceinline__ void load(int64_t pixel, T* to) const {
    constexpr int wide = gram::wide<T>, chunks = gram::chunks;
    const int rows = square ? side : 2 * side;
    const auto channel = [&](int r) { return r < side ? row + r : column + r - side; };
    const auto address = [&](int r, int k) {
      const int64_t step = pack > 1 && along_pixels ? 1 : a.pixel_stride;
      return image + channel(r) * a.channel_stride + (pixel + k) * step;
    };
    if constexpr (pack == 1) {
      for (int i = threadIdx.x; i < 2 * side * depth; i += threads) {
        const int r = along_pixels ? i / depth : i % (2 * side);
        const int k = along_pixels ? i % depth : i / (2 * side);
        if (r >= rows) continue;
        const bool inside = channel(r) < a.channels && pixel + k < end;
        to[gram::swizzled_offset<T>(r, k / wide) + k % wide] =
            inside ? *address(r, k) : narrow<T>(0);
      }
    } else if constexpr (along_pixels) {
      constexpr int across = threads / chunks;  // rows at a time
      const int r = threadIdx.x / chunks, chunk = threadIdx.x % chunks;
      const T* from = image;
#pragma unroll
      for (int first = 0; first < 2 * side; first += across) {
        if (first >= side && square) break;
        from += across * a.channel_stride;
        if (first % side == 0) from = address(first + r, chunk * wide);
        const bool inside = r < a.channels - channel(first) && pixel + chunk * wide < end;
        copy_async16(to + gram::swizzled_offset<T>(first + r, chunk), inside ? from : image,
                     inside);
      }
    } else {
      // A thread turns a square of elements.
      for (int i = threadIdx.x; i < rows / wide * chunks; i += threads) {
        const int r = i / chunks * wide, chunk = i % chunks;
        Pack<T, wide> pixels[wide];
#pragma unroll
        for (int k = 0; k < wide; ++k) {
          const bool inside = channel(r) < a.channels && pixel + chunk * wide + k < end;
          pixels[k] = inside ? load_pack<wide>(address(r, chunk * wide + k)) : Pack<T, wide>{};
        }
#pragma unroll
        for (int c = 0; c < wide; ++c) {
          Pack<T, wide> of_channel;
#pragma unroll
          for (int k = 0; k < wide; ++k) of_channel.item[k] = pixels[k].item[c];
          *reinterpret_cast<Pack<T, wide>*>(to + gram::swizzled_offset<T>(r + c, chunk)) =
              of_channel;
        }
      }
    }
  }

  // Calls multiply(left, right) for all pixels, `depth` at a time; those of the next three times
  // are on their way meanwhile.
  template <int threads, int pack, bool along_pixels, typename F>
  __device__ __forceinline__ void for_each_step(T* shared, F multiply) const {
    constexpr int stages = gram::stages, stage = 2 * side * depth;
    const auto load_step = [&](int64_t step) {
      const int64_t pixel = begin + step * depth;
      if (pixel < end) load<threads, pack, along_pixels>(pixel, shared + step % stages * stage);
      commit_copies();
    };
    for (int s = 0; s < stages - 1; ++s) load_step(s);
    const int steps = static_cast<int>(ceil_div(end - begin, depth));
    for (int s = 0; s < steps; ++s) {
      wait_copies<stages - 2>();
      __syncthreads();
      load_step(s + stages - 1);
      const T* left = shared + s % stages * stage;
      multiply(left, square ? left : left + side * depth);
    }
  }
};

// Each thread 8 x 8 products in registers, each warp 32 x 64. Lanes l and l ^ 2 share rows, l and
// l ^ 1 columns: so a warp's 16-byte reads are served in half the time.
template <typename T, int pack, bool along_pixels, int side>
__global__ void __launch_bounds__(side* side / 64, gram::resident(side, sizeof(T)))
    gram_kernel(GramArguments<T> a, int64_t pixels_each, acc_t<T>* __restrict__ parts) {
  constexpr int wide = gram::wide<T>, depth = gram::depth<T>;
  FASTCV_DYN_SHARED(T, shared);
  const GramBlock<T, side> block(a, pixels_each);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int y = warp / (side / 64) * 32 + (lane % 2 + lane / 16 * 2) * 2;
  const int x = warp % (side / 64) * 64 + lane / 2 % 8;
  const auto row = [](int r) { return r / 2 * 8 + r % 2; };  // from y on
  T sum[8][8] = {};
  block.template for_each_step<side * side / 64, pack, along_pixels>(
      shared, [&](const T* left, const T* right) {
#pragma unroll 1  // 128 registers hold no more
        for (int chunk = 0; chunk < gram::chunks; ++chunk) {
          // All rows of a thread have their chunks in the same order: one address for the eight.
          const T* p_at = left + gram::swizzled_offset<T>(y, chunk);
          const T* q_at = right + gram::swizzled_offset<T>(x, chunk);
          Pack<T, wide> q[8];
#pragma unroll
          for (int c = 0; c < 8; ++c) q[c] = load_pack<wide>(q_at + 8 * c * depth);
#pragma unroll
          for (int r = 0; r < 8; ++r) {
            const Pack<T, wide> p = load_pack<wide>(p_at + row(r) * depth);
#pragma unroll
            for (int k = 0; k < wide; ++k) {
#pragma unroll
              for (int c = 0; c < 8; ++c) sum[r][c] = fma(p.item[k], q[c].item[k], sum[r][c]);
            }
          }
        }
      });
  T* out = block.part(parts);
#pragma unroll
  for (int r = 0; r < 8; ++r) {
#pragma unroll
    for (int c = 0; c < 8; ++c) out[(y + row(r)) * side + x + 8 * c] = sum[r][c];
  }
}

// Half and bfloat16: 4 warps, each a quarter of the tile on the tensor cores. Not
// torch's product of matrices, which may add in half precision and does not promise symmetry.
template <typename T, int pack, bool along_pixels, int side>
__global__ void __launch_bounds__(128, gram::resident(side, 2))
    gram_mma_kernel(GramArguments<T> a, int64_t pixels_each, float* __restrict__ parts) {
  constexpr int quarter = side / 2;
  FASTCV_DYN_SHARED(T, shared);
  const GramBlock<T, side> block(a, pixels_each);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int y = warp / 2 * quarter, x = warp % 2 * quarter;
  float sum[quarter / 16][quarter / 8][4] = {};
  block.template for_each_step<128, pack, along_pixels>(shared, [&](const T* left, const T* right) {
#pragma unroll
    for (int chunk = 0; chunk < gram::chunks; chunk += 2) {
      uint32_t p[quarter / 16][4], q[quarter / 8][2];
#pragma unroll
      for (int m = 0; m < quarter / 16; ++m) {
        load_matrices(p[m],
                      left + gram::swizzled_offset<T>(y + 16 * m + lane % 16, chunk + lane / 16));
      }
#pragma unroll
      for (int n = 0; n < quarter / 8; n += 2) {
        uint32_t words[4];
        load_matrices(words, right + gram::swizzled_offset<T>(x + 8 * n + lane / 16 * 8 + lane % 8,
                                                              chunk + lane / 8 % 2));
        q[n][0] = words[0], q[n][1] = words[1];
        q[n + 1][0] = words[2], q[n + 1][1] = words[3];
      }
#pragma unroll
      for (int m = 0; m < quarter / 16; ++m) {
#pragma unroll
        for (int n = 0; n < quarter / 8; ++n) mma_16x8<T>(sum[m][n], p[m], q[n]);
      }
    }
  });
  float* out = block.part(parts);
#pragma unroll
  for (int m = 0; m < quarter / 16; ++m) {
#pragma unroll
    for (int n = 0; n < quarter / 8; ++n) {
      float* at = out + (y + 16 * m + lane / 4) * side + x + 8 * n + lane % 4 * 2;
      *reinterpret_cast<float2*>(at) = {sum[m][n][0], sum[m][n][1]};
      *reinterpret_cast<float2*>(at + 8 * side) = {sum[m][n][2], sum[m][n][3]};
    }
  }
}

// A block for 16 x 16 elements of a tile and their mirror image, both written along rows.
template <typename T, int side>
__global__ void __launch_bounds__(256)
    gram_write_kernel(const acc_t<T>* __restrict__ parts, int split_k, int64_t channels,
                      acc_t<T> scale, T* __restrict__ gram_out) {
  constexpr int patch = 16, ahead = 16;  // ahead: sums of one element that are read at once
  FASTCV_SHARED(T, values, [patch][patch + 1]);
  int64_t top, left;
  tile_place(blockIdx.x, top, left);
  const int first_y = blockIdx.y / (side / patch) * patch;
  const int first_x = blockIdx.y % (side / patch) * patch;
  top = top * side + first_y;
  left = left * side + first_x;
  if (top >= channels || left > top) return;
  const int y = threadIdx.x / patch, x = threadIdx.x % patch;
  const int64_t stride = int64_t{gridDim.x} * side * side;
  parts += blockIdx.z * split_k * stride + int64_t{blockIdx.x} * side * side +
           (first_y + y) * side + first_x + x;
  acc_t<T> sum = 0;
  for (int r = 0; r < split_k; r += ahead) {
    acc_t<T> part[ahead];
#pragma unroll
    for (int i = 0; i < ahead; ++i)
      part[i] = r + i < split_k ? parts[(r + i) * stride] : acc_t<T>(0);
#pragma unroll
    for (int i = 0; i < ahead; ++i) sum += part[i];
  }
  const T value = narrow<T>(sum * scale);
  values[y][x] = value;
  __syncthreads();
  T* out = gram_out + blockIdx.z * channels * channels;
  if (top + y < channels && left + x <= top + y) out[(top + y) * channels + left + x] = value;
  if (top + x < channels && left + y < top + x) out[(left + y) * channels + top + x] = values[x][y];
}

int64_t gram_parts(int64_t batch, int64_t channels, int64_t pixels) {
  return gram::Split(batch, channels, pixels).parts(batch);
}

template <int side, int pack, bool along_pixels, typename T>
void launch_gram_tiles(const GramArguments<T>& a, const gram::Split& split, acc_t<T>* parts,
                       cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(split.tiles), static_cast<unsigned>(split.split_k),
                  static_cast<unsigned>(a.batch));
  constexpr size_t bytes = gram::stages * 2 * side * gram::depth<T> * sizeof(T);
  if constexpr (sizeof(T) == 2) {
    launch(gram_mma_kernel<T, pack, along_pixels, side>, grid, dim3(128), bytes, stream, a,
           split.pixels_each, parts);
  } else {
    launch(gram_kernel<T, pack, along_pixels, side>, grid, dim3(side * side / 64), bytes, stream, a,
           split.pixels_each, parts);
  }
}

template <int side, typename T>
void launch_gram(const GramArguments<T>& a, const gram::Split& split, double scale, acc_t<T>* parts,
                 T* out, cudaStream_t stream) {
  constexpr int wide = gram::wide<T>;
  const auto packs = [&](int64_t length, int64_t step, int64_t other_stride) {
    return step == 1 && length % wide == 0 && other_stride % wide == 0 &&
           a.image_stride % wide == 0 && reinterpret_cast<uintptr_t>(a.features) % 16 == 0;
  };
  if (packs(a.pixels, a.pixel_stride, a.channel_stride)) {
    launch_gram_tiles<side, wide, true>(a, split, parts, stream);
  } else if (packs(a.channels, a.channel_stride, a.pixel_stride)) {
    launch_gram_tiles<side, wide, false>(a, split, parts, stream);
  } else if (a.pixel_stride <= a.channel_stride) {
    launch_gram_tiles<side, 1, true>(a, split, parts, stream);
  } else {
    launch_gram_tiles<side, 1, false>(a, split, parts, stream);
  }
  launch(gram_write_kernel<T, side>,
         dim3(static_cast<unsigned>(split.tiles), side / 16 * (side / 16),
              static_cast<unsigned>(a.batch)),
         dim3(256), 0, stream, parts, static_cast<int>(split.split_k), a.channels,
         static_cast<acc_t<T>>(scale), out);
}

template <typename T>
void launch_gram_matrix(const GramArguments<T>& a, double scale, acc_t<T>* parts, T* out,
                        cudaStream_t stream) {
  if (a.batch == 0 || a.channels == 0) return;
  const gram::Split split(a.batch, a.channels, a.pixels);
  if (split.side == 128) {
    launch_gram<128>(a, split, scale, parts, out, stream);
  } else {
    launch_gram<64>(a, split, scale, parts, out, stream);
  }
}

}  // namespace fastcv::cuda
