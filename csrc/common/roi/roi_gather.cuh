// Gradients of the RoI ops without atomics: instead of every bin adding to the pixels it read,
// every pixel gathers from the bins that read it. The sum runs in the order of the RoIs, so the
// result is the same at every run, in any dtype, with no memory beyond the output.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "common/roi/roi_cuda.h"

namespace fastcv::cuda {

// The pixels of one image that a block works on: rows [top, bottom), columns [left, right).
struct Tile {
  int64_t image;
  int top, bottom, left, right;
};

namespace gather {

constexpr int threads = 256;

// A warp takes 32 pixels of a row in NCHW, 32 channels of a pixel in channels_last: neighbours in
// memory either way.
template <bool channels_last, int channels_per_thread>
struct Layout {
  static constexpr int tile_width = channels_last ? 4 : 32;
  static constexpr int tile_height = channels_last ? 2 : 8;
  static constexpr int channel_step = channels_last ? 32 : 1;
  static constexpr int channels_per_block = channels_per_thread * channel_step;
};

// What a thread works on: the pixel (y, x) in the `channels` channels channel + i * step.
struct Place {
  Tile tile;
  int y, x;
  bool inside;  // the image
  int64_t channel;
  int step, channels;
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
//   int channels_per_thread<channels_last>: at most so many are in a Place;
//   void add<Layout>(found, count, place, sum): adds to sum[i] what the place gets in its channel i
//       from RoIs found[0 .. count). All threads of the block call it.
// Block (t, s, n): tile t, slab s of channels, image n.
template <bool channels_last, typename Op, typename T>
__global__ void __launch_bounds__(threads, Op::blocks_per_sm)
    gather_kernel(Op op, Strided<T> grad_input, Extent extent, int tiles_across) {
  constexpr int channels_per_thread = Op::template channels_per_thread<channels_last>;
  using L = Layout<channels_last, channels_per_thread>;
  using Acc = acc_t<T>;
  FASTCV_SHARED(typename Op::Roi, found, [threads]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Place at;
  Tile& tile = at.tile;
  tile.top = static_cast<int>(blockIdx.x / tiles_across) * L::tile_height;
  tile.left = static_cast<int>(blockIdx.x % tiles_across) * L::tile_width;
  tile.bottom =
      tile.top + L::tile_height < extent.height ? tile.top + L::tile_height : extent.height;
  tile.right = tile.left + L::tile_width < extent.width ? tile.left + L::tile_width : extent.width;
  at.y = tile.top + (channels_last ? warp / L::tile_width : warp);
  at.x = tile.left + (channels_last ? warp % L::tile_width : lane);
  at.inside = at.y < tile.bottom && at.x < tile.right;
  at.step = L::channel_step;

  const int64_t slabs = ceil_div(extent.channels, L::channels_per_block);
  for (tile.image = blockIdx.z; tile.image < extent.batch; tile.image += gridDim.z) {
    for (int64_t slab = blockIdx.y; slab < slabs; slab += gridDim.y) {
      at.channel = slab * L::channels_per_block + (channels_last ? lane : 0);
      const int64_t left = ceil_div(extent.channels - at.channel, at.step);
      at.channels = left < channels_per_thread ? static_cast<int>(left) : channels_per_thread;
      Acc sum[channels_per_thread];
      for (Acc& s : sum) s = 0;
      for (int64_t first = 0; first < op.roi_count; first += threads) {
        const int count = find_rois(op, first, tile, found);
        op.template add<L>(found, count, at, sum);
      }
      if (!at.inside) continue;
      T* pixel =
          grad_input.data + tile.image * grad_input.n + at.y * grad_input.h + at.x * grad_input.w;
#pragma unroll
      for (int i = 0; i < channels_per_thread; ++i) {
        if (i >= at.channels) break;
        pixel[(at.channel + i * at.step) * grad_input.c] = narrow<T>(sum[i]);
      }
    }
  }
}

// The sum for ops that have, in place of add() and of channels_per_thread,
//   void gather(roi, y, x, channel, step, channels, sum): what the place gets from one RoI.
constexpr int channels_of_one = 8;

template <typename Op>
struct OneByOne : Op {
  using Roi = typename Op::Roi;
  template <bool channels_last>
  static constexpr int channels_per_thread = channels_of_one;
  static constexpr int blocks_per_sm = 0;  // as the compiler thinks

  template <typename L, typename Acc>
  __device__ void add(const Roi* found, int count, const Place& at, Acc* sum) const {
    if (!at.inside) return;
    for (int i = 0; i < count; ++i) {
      this->gather(found[i], at.y, at.x, at.channel, at.step, at.channels, sum);
    }
  }
};

constexpr int64_t max_grid_yz = 65535;

template <bool channels_last, typename Op, typename T>
void launch_in(const Op& op, Strided<T> grad_input, const Extent& extent, size_t shared_bytes,
               cudaStream_t stream) {
  using L = Layout<channels_last, Op::template channels_per_thread<channels_last>>;
  const auto capped = [](int64_t n) {
    return static_cast<unsigned>(n < max_grid_yz ? n : max_grid_yz);
  };
  const int64_t across = ceil_div(extent.width, L::tile_width);
  const int64_t down = ceil_div(extent.height, L::tile_height);
  const dim3 grid(static_cast<unsigned>(across * down),
                  capped(ceil_div(extent.channels, L::channels_per_block)), capped(extent.batch));
  launch(gather_kernel<channels_last, Op, T>, grid, dim3(threads), shared_bytes, stream, op,
         grad_input, extent, static_cast<int>(across));
}

}  // namespace gather

// Writes every element of grad_input, which must have some.
template <typename Op, typename T>
void launch_gather(const Op& op, Strided<T> grad_input, const Extent& extent, cudaStream_t stream) {
  const gather::OneByOne<Op> each{op};
  if (grad_input.c == 1) {
    gather::launch_in<true>(each, grad_input, extent, 0, stream);
  } else {
    gather::launch_in<false>(each, grad_input, extent, 0, stream);
  }
}

}  // namespace fastcv::cuda
