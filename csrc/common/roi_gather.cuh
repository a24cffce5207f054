// Gradients of the RoI ops without atomics: instead of every bin adding to the pixels it read,
// every pixel gathers from the bins that read it. The sum runs in the order of the RoIs, so the
// result is the same at every run, in any dtype, with no memory beyond the output.
#pragma once

#include <cstdint>

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/roi_cuda.h"

namespace fastcv::cuda {

// The pixels of one image that a block works on: rows [top, bottom), columns [left, right).
struct Tile {
  int64_t image;
  int top, bottom, left, right;
};

namespace gather {

constexpr int threads = 256;
constexpr int channels_per_thread = 8;

// A warp takes 32 pixels of a row in NCHW, 32 channels of a pixel in channels_last: neighbours in
// memory either way.
template <bool channels_last>
struct Layout {
  static constexpr int tile_width = channels_last ? 4 : 32;
  static constexpr int tile_height = channels_last ? 2 : 8;
  static constexpr int channel_step = channels_last ? 32 : 1;
  static constexpr int channels_per_block = channels_per_thread * channel_step;
};

// The RoIs [first, first + threads) that touch the tile, in ascending order, into `found`; returns
// many. All threads of the block call it; its first barrier keeps `found` until all have read it.
template <typename Op>
__device__ int find_rois(const Op& op, int64_t first, const Tile& tile, typename Op::Roi* found) {
  FASTCV_SHARED(int, of_warp, [threads / 32]);
  const int tid = threadIdx.x, lane = tid % 32;
  typename Op::Roi roi;
  bool touches = false;
  if (first + tid < op.roi_count) {
    roi = op.load(first + tid);
    touches = op.touches(roi, tile);
  }
  const unsigned ballot = __ballot_sync(0xffffffffu, touches);
  if (lane == 0) of_warp[tid / 32] = __popc(ballot);
  __syncthreads();
  int before = 0, total = 0;
  for (int w = 0; w < threads / 32; ++w) {
    if (w < tid / 32) before += of_warp[w];
    total += of_warp[w];
  }
  if (touches) found[before + __popc(ballot & ((1u << lane) - 1))] = roi;
  __syncthreads();
  return total;
}

// Op has:
//   Roi, int64_t roi_count, Roi load(index);
//   bool touches(roi, tile): whether the RoI may have read a pixel of the tile;
//   void gather(roi, y, x, channel, step, channels, sum): adds to sum[i] what the pixel (y, x) of
//       channel + i * step gets from the RoI, for the `channels` of them that exist.
// Block (t, s, n): tile t, slab s of channels, image n.
template <bool channels_last, typename Op, typename T>
__global__ void __launch_bounds__(threads)
    gather_kernel(Op op, Strided<T> grad_input, Extent extent, int tiles_across) {
  using L = Layout<channels_last>;
  using Acc = acc_t<T>;
  FASTCV_SHARED(typename Op::Roi, found, [threads]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Tile tile;
  tile.top = static_cast<int>(blockIdx.x / tiles_across) * L::tile_height;
  tile.left = static_cast<int>(blockIdx.x % tiles_across) * L::tile_width;
  tile.bottom =
      tile.top + L::tile_height < extent.height ? tile.top + L::tile_height : extent.height;
  tile.right = tile.left + L::tile_width < extent.width ? tile.left + L::tile_width : extent.width;
  const int y = tile.top + (channels_last ? warp / L::tile_width : warp);
  const int x = tile.left + (channels_last ? warp % L::tile_width : lane);
  const bool inside = y < tile.bottom && x < tile.right;

  const int64_t slabs = (extent.channels + L::channels_per_block - 1) / L::channels_per_block;
  for (tile.image = blockIdx.z; tile.image < extent.batch; tile.image += gridDim.z) {
    for (int64_t slab = blockIdx.y; slab < slabs; slab += gridDim.y) {
      const int64_t channel = slab * L::channels_per_block + (channels_last ? lane : 0);
      const int64_t left = (extent.channels - channel + L::channel_step - 1) / L::channel_step;
      const int channels =
          left < channels_per_thread ? static_cast<int>(left) : channels_per_thread;
      Acc sum[channels_per_thread];
      for (Acc& s : sum) s = 0;
      for (int64_t first = 0; first < op.roi_count; first += threads) {
        const int count = find_rois(op, first, tile, found);
        if (inside) {
          for (int i = 0; i < count; ++i) {
            op.gather(found[i], y, x, channel, L::channel_step, channels, sum);
          }
        }
      }
      if (!inside) continue;
      T* pixel = grad_input.data + tile.image * grad_input.n + y * grad_input.h + x * grad_input.w;
#pragma unroll
      for (int i = 0; i < channels_per_thread; ++i) {
        if (i >= channels) break;
        pixel[(channel + i * L::channel_step) * grad_input.c] = narrow<T>(sum[i]);
      }
    }
  }
}

constexpr int64_t max_grid_yz = 65535;

template <bool channels_last, typename Op, typename T>
void launch_in(const Op& op, Strided<T> grad_input, const Extent& extent, cudaStream_t stream) {
  using L = Layout<channels_last>;
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const auto capped = [](int64_t n) {
    return static_cast<unsigned>(n < max_grid_yz ? n : max_grid_yz);
  };
  const int64_t across = up(extent.width, L::tile_width), down = up(extent.height, L::tile_height);
  const dim3 grid(static_cast<unsigned>(across * down),
                  capped(up(extent.channels, L::channels_per_block)), capped(extent.batch));
  launch(gather_kernel<channels_last, Op, T>, grid, dim3(threads), 0, stream, op, grad_input,
         extent, static_cast<int>(across));
}

}  // namespace gather

// Writes every element of grad_input, which must have some.
template <typename Op, typename T>
void launch_gather(const Op& op, Strided<T> grad_input, const Extent& extent, cudaStream_t stream) {
  if (grad_input.c == 1) {
    gather::launch_in<true>(op, grad_input, extent, stream);
  } else {
    gather::launch_in<false>(op, grad_input, extent, stream);
  }
}

}  // namespace fastcv::cuda
