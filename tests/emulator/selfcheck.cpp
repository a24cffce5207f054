// Kernels with planted mistakes, and the conversions: what the emulator must do right and must
// find.
#include <cstdint>

#include "common/cuda/launch.cuh"

using namespace fastcv;

// Block-wise reversal through shared memory; `barrier` false plants the missing barrier.
__global__ void reverse_kernel(const float* in, float* out, int n, bool barrier) {
  FASTCV_SHARED(float, tile, [96]);
  const int base = blockIdx.x * blockDim.x, t = threadIdx.x;
  const int m = n - base < static_cast<int>(blockDim.x) ? n - base : blockDim.x;
  if (t < m) tile[t] = in[base + t];
  if (barrier) __syncthreads();
  if (t < m) out[base + t] = tile[m - 1 - t];
}

// The same within a warp, where __syncwarp is what orders the lanes.
__global__ void swap_kernel(const float* in, float* out, bool barrier) {
  FASTCV_SHARED(float, tile, [32]);
  tile[threadIdx.x] = in[threadIdx.x];
  if (barrier) __syncwarp();
  out[threadIdx.x] = tile[31 - threadIdx.x];
}

// `atomic` false plants the lost update, within a block and between blocks.
__global__ void count_kernel(int* count, bool atomic) {
  if (atomic) {
    atomicAdd(count, 1);
  } else {
    *count += 1;
  }
}

// A sum by shuffles; `leave` lets lanes beyond n end before it.
__global__ void sum_kernel(const float* in, float* out, int n, bool leave) {
  const int lane = threadIdx.x;
  if (leave && lane >= n) return;
  float v = lane < n ? in[lane] : 0.0f;
  for (int step = 16; step > 0; step /= 2) v += __shfl_down_sync(0xffffffffu, v, step);
  if (lane == 0) *out = v;
}

__global__ void divergent_kernel() {
  if (threadIdx.x < 10) __syncthreads();
}

__global__ void two_barriers_kernel() {
  if (threadIdx.x < 10) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void not_in_mask_kernel() { __syncwarp(0x0000fffeu); }

__global__ void unset_kernel(float* out) {
  FASTCV_SHARED(float, tile, [32]);
  out[threadIdx.x] = tile[threadIdx.x];
}

template <int bytes>
__global__ void large_kernel() {
  FASTCV_SHARED(char, tile, [bytes]);
  tile[threadIdx.x] = 0;
}

__global__ void dynamic_kernel(float* out) {
  FASTCV_DYN_SHARED(float, tile);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x + 100 * blockIdx.x);
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

__global__ void vote_kernel(int* out) {
  const int t = threadIdx.x;
  const unsigned odd = __ballot_sync(0xffffffffu, t % 2);
  const int here = __syncthreads_count(t < 40), any = __syncthreads_or(t == 63),
            all = __syncthreads_and(t < 63);
  const int up = __shfl_up_sync(0xffffffffu, t, 1), to = __shfl_sync(0xffffffffu, t, 5, 8),
            other = __shfl_xor_sync(0xffffffffu, t, 3);
  int* own = out + t * 7;
  own[0] = odd == 0xaaaaaaaau;
  own[1] = here, own[2] = any, own[3] = all, own[4] = up, own[5] = to, own[6] = other;
}

// Passes a value through shared memory with a shuffle in between, which orders no memory.
__global__ void shuffle_is_no_fence_kernel(int* out, bool barrier) {
  FASTCV_SHARED(int, tile, [32]);
  tile[threadIdx.x] = threadIdx.x;
  const int one = __shfl_sync(0xffffffffu, 1, 0);
  if (barrier) __syncwarp();
  out[threadIdx.x] = tile[31 - threadIdx.x] + one;
}

// The lower half of the warp meets; `all` false lets the upper half read what the lower wrote.
__global__ void half_warp_kernel(int* out, bool all) {
  FASTCV_SHARED(int, tile, [32]);
  const unsigned t = threadIdx.x;
  tile[t] = t;
  __syncwarp(t < 16 ? 0x0000ffffu : 0xffff0000u);
  if (all) __syncwarp();
  out[t] = tile[t ^ 16];
}

// Neighbouring bytes of a word, each with a writer of its own, of which one is read by another.
__global__ void bytes_kernel(unsigned char* bytes, int* out, bool barrier) {
  if (threadIdx.x < 4) bytes[threadIdx.x] = 1;
  if (barrier) __syncthreads();
  if (threadIdx.x == 32) *out = bytes[0];
}

__global__ void first_block_kernel(int* blocks, int* first) {
  if (atomicAdd(blocks, 1) == 0) *first = blockIdx.x;
}

__global__ void shared_bounds_kernel(int write, int read, int* out) {
  FASTCV_SHARED(int, tile, [8]);
  tile[threadIdx.x] = 1;
  tile[write] = 1;
  out[threadIdx.x] = tile[read];
}

__global__ void global_bounds_kernel(const float* in, float* out, int write, int read) {
  out[write] = in[read];
}

__global__ void vector_kernel(const float* in, float4* out) {
  *out = *reinterpret_cast<const float4*>(in);
}

__global__ void different_places_kernel() {
  if (threadIdx.x < 5) {
    __syncwarp();
  } else {
    __syncwarp();
  }
}

__global__ void deadlock_kernel() {
  if (threadIdx.x == 40) __syncwarp();
  __syncthreads();
}

template <typename T>
__global__ void add_kernel(T* sum, T value) {
  atomicAdd(sum, value);
}

// What 0 .. 63 leave behind, in each of the operations.
template <typename T>
__global__ void integer_atomics_kernel(T* result) {
  const T t = threadIdx.x;
  atomicMax(result, t);
  atomicMin(result + 1, t);
  atomicOr(result + 2, T{1} << (t % 31));
  atomicAnd(result + 3, ~(T{1} << (t % 31)));
  atomicXor(result + 4, t);
  if (atomicCAS(result + 5, T{0}, t + 1) == 0) result[6] = t + 1;
  atomicAdd(result + 7, t);
}

const cudaStream_t stream{};

extern "C" {
void reverse(const float* in, float* out, int n, int barrier) {
  launch(reverse_kernel, dim3((n + 95) / 96), dim3(96), 0, stream, in, out, n, barrier != 0);
}
void swap_lanes(const float* in, float* out, int barrier) {
  launch(swap_kernel, dim3(1), dim3(32), 0, stream, in, out, barrier != 0);
}
void count(int* count, int blocks, int threads, int atomic) {
  launch(count_kernel, dim3(blocks), dim3(threads), 0, stream, count, atomic != 0);
}
void sum(const float* in, float* out, int n, int leave) {
  launch(sum_kernel, dim3(1), dim3(32), 0, stream, in, out, n, leave != 0);
}
void divergent() { launch(divergent_kernel, dim3(1), dim3(64), 0, stream); }
void two_barriers() { launch(two_barriers_kernel, dim3(1), dim3(64), 0, stream); }
void not_in_mask() { launch(not_in_mask_kernel, dim3(1), dim3(32), 0, stream); }
void unset(float* out) { launch(unset_kernel, dim3(1), dim3(32), 0, stream, out); }
void too_much_shared() { launch(large_kernel<48 * 1024 + 1>, dim3(1), dim3(1), 0, stream); }
void too_much_dynamic() { launch(divergent_kernel, dim3(1), dim3(1), 228 * 1024, stream); }
void launch_shape(int blocks_x, int blocks_y, int threads_x, int threads_z) {
  launch(count_kernel, dim3(blocks_x, blocks_y), dim3(threads_x, 1, threads_z), 0, stream,
         static_cast<int*>(nullptr), true);
}
void dynamic(float* out) {
  launch(dynamic_kernel, dim3(3), dim3(64), 64 * sizeof(float), stream, out);
}
void votes(int* out) { launch(vote_kernel, dim3(1), dim3(64), 0, stream, out); }

void shuffle_is_no_fence(int* out, int barrier) {
  launch(shuffle_is_no_fence_kernel, dim3(1), dim3(32), 0, stream, out, barrier != 0);
}
void half_warp(int* out, int all) {
  launch(half_warp_kernel, dim3(1), dim3(32), 0, stream, out, all != 0);
}
void bytes(unsigned char* bytes, int* out, int barrier) {
  launch(bytes_kernel, dim3(1), dim3(64), 0, stream, bytes, out, barrier != 0);
}
int first_block(int* blocks) {
  int first = -1;
  launch(first_block_kernel, dim3(50), dim3(1), 0, stream, blocks, &first);
  return first;
}
void shared_bounds(int write, int read, int* out) {
  launch(shared_bounds_kernel, dim3(1), dim3(1), 0, stream, write, read, out);
}
void global_bounds(const float* in, float* out, int write, int read) {
  launch(global_bounds_kernel, dim3(1), dim3(1), 0, stream, in, out, write, read);
}
void load_vector(const float* in, float4* out) {
  launch(vector_kernel, dim3(1), dim3(1), 0, stream, in, out);
}
float unwritten_buffer() {
  const emulator::DeviceBuffer buffer(sizeof(float));
  return *static_cast<const float*>(buffer.data());
}
void different_places() { launch(different_places_kernel, dim3(1), dim3(32), 0, stream); }
void deadlock() { launch(deadlock_kernel, dim3(1), dim3(64), 0, stream); }

#define ADD(name, T)                                                  \
  void add_##name(T* sum, const T* value) {                           \
    launch(add_kernel<T>, dim3(2), dim3(64), 0, stream, sum, *value); \
  }
ADD(float64, double)
ADD(float32, float)
ADD(int32, int)
ADD(uint32, unsigned)
ADD(uint64, unsigned long long)
ADD(float16, __half)
ADD(bfloat16, __nv_bfloat16)
ADD(float16_pair, __half2)
ADD(bfloat16_pair, __nv_bfloat162)

void integer_atomics_int32(int* result) {
  launch(integer_atomics_kernel<int>, dim3(1), dim3(64), 0, stream, result);
}
void integer_atomics_uint32(unsigned* result) {
  launch(integer_atomics_kernel<unsigned>, dim3(1), dim3(64), 0, stream, result);
}
void integer_atomics_uint64(unsigned long long* result) {
  launch(integer_atomics_kernel<unsigned long long>, dim3(1), dim3(64), 0, stream, result);
}

void half_to_float(const __half* in, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = __half2float(in[i]);
}
void float_to_half(const float* in, __half* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = __float2half_rn(in[i]);
}
void bfloat16_to_float(const __nv_bfloat16* in, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = __bfloat162float(in[i]);
}
void float_to_bfloat16(const float* in, __nv_bfloat16* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = __float2bfloat16_rn(in[i]);
}
}
