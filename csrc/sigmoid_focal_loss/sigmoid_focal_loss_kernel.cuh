// A block takes a fixed run of elements, a thread 16 bytes of neighbours at a time.
#pragma once

#include <cstdint>

#include "common/block_sum.cuh"
#include "common/convert.cuh"
#include "common/focal.cuh"
#include "common/pack.cuh"
#include "sigmoid_focal_loss/sigmoid_focal_loss_kernel.h"

namespace fastcv::cuda {

namespace sigmoid_focal {
constexpr int threads = 256;
constexpr int64_t elements = 4096;  // of a block
}  // namespace sigmoid_focal

__device__ __forceinline__ float widen(uint8_t x) { return x; }

template <typename Acc>
struct SigmoidFocal {
  Acc t, alpha_t, cross_entropy, q, p, one_less_p;  // q = 1 - p_t

  __device__ SigmoidFocal(Acc x, Acc t, Acc alpha) : t(t) {
    Acc size = x < 0 ? -x : x;
    size = size > most<Acc>() ? most<Acc>() : size;  // NaN stays
    const Acc e = exponential(-size), larger = quotient(Acc(1), 1 + e), smaller = e * larger;
    const Acc rest = 1 - t;
    p = x >= 0 ? larger : smaller;
    one_less_p = x >= 0 ? smaller : larger;
    q = fma(p, rest, one_less_p * t);
    cross_entropy = fma(size, x >= 0 ? rest : t, log1p_of_unit(e));
    alpha_t = alpha < 0 ? Acc(1) : fma(alpha, t, (1 - alpha) * rest);
  }

  __device__ Acc loss(Acc gamma) const { return alpha_t * cross_entropy * power(q, gamma); }

  __device__ Acc derivative(Acc gamma) const {
    // dCE/dx = p - t and dq/dx = (1 - 2 t) p (1 - p); p - t as below loses no digits.
    const Acc slope = fma(p, 1 - t, -(one_less_p * t));
    const Acc by_modulation = cross_entropy * (p * one_less_p * fma(Acc(-2), t, Acc(1)) * gamma);
    if (gamma == 2) return alpha_t * q * fma(slope, q, by_modulation);
    // p (1 - p) <= q wherever q > 0.
    const Acc safe = q < least<Acc>() ? least<Acc>() : q;
    return alpha_t * power(q, gamma) * (slope + by_modulation / safe);
  }
};

template <typename T, typename Target>
__device__ __forceinline__ acc_t<T> weight_of(const SigmoidFocalArguments<T, Target>& a,
                                              int64_t i) {
  if (a.weight == nullptr) return 1;
  if (a.weight_run == 1) return a.weight[i];
  // A 64-bit division takes many times as long.
  return a.weight[i >> 32 == 0 && a.weight_run >> 32 == 0
                      ? static_cast<uint32_t>(i) / static_cast<uint32_t>(a.weight_run)
                      : i / a.weight_run];
}

// Calls f(first element, logits, targets, elements) for packs of the block's run.
template <typename T, typename Target, int pack, typename F>
__device__ __forceinline__ void for_each_pack(const SigmoidFocalArguments<T, Target>& a, F f) {
  const int64_t begin = int64_t{blockIdx.x} * sigmoid_focal::elements;
#pragma unroll 1  // the pack is unrolled, and each element's arithmetic is long
  for (int k = 0; k < sigmoid_focal::elements; k += sigmoid_focal::threads * pack) {
    const int64_t i = begin + k + static_cast<int>(threadIdx.x) * pack;
    if (i + pack <= a.n) {
      f(i, load_pack<pack>(a.x + i), load_pack<pack>(a.targets + i), pack);
    } else if (i < a.n) {
      Pack<T, pack> x = {};
      Pack<Target, pack> t = {};
#pragma unroll
      for (int j = 0; j < pack; ++j) {
        if (i + j < a.n) x.item[j] = a.x[i + j], t.item[j] = a.targets[i + j];
      }
      f(i, x, t, static_cast<int>(a.n - i));
    }
  }
}

// What has no weight counts for nothing, not even as a NaN.
template <typename Acc>
__device__ __forceinline__ Acc weighed(Acc value, Acc weight) {
  return weight == 0 ? Acc(0) : value * weight;
}

template <typename T, int pack>
__device__ __forceinline__ void store_first(T* p, const Pack<T, pack>& values, int count) {
  if (count == pack) {
    *reinterpret_cast<Pack<T, pack>*>(p) = values;
  } else {
#pragma unroll
    for (int j = 0; j < pack; ++j) {
      if (j < count) p[j] = values.item[j];
    }
  }
}

template <typename T, typename Target, int pack>
__global__ void __launch_bounds__(sigmoid_focal::threads)
    sigmoid_focal_loss_kernel(SigmoidFocalArguments<T, Target> a, T* __restrict__ loss) {
  for_each_pack<T, Target, pack>(
      a, [&](int64_t i, const Pack<T, pack>& x, const Pack<Target, pack>& t, int count) {
        Pack<T, pack> out;
#pragma unroll
        for (int j = 0; j < pack; ++j) {
          const SigmoidFocal<acc_t<T>> f(widen(x.item[j]), widen(t.item[j]), a.alpha);
          const acc_t<T> weight = j < count ? weight_of(a, i + j) : acc_t<T>(0);
          out.item[j] = narrow<T>(weighed(f.loss(a.gamma), weight));
        }
        store_first(loss + i, out, count);
      });
}

template <typename T, typename Target, int pack>
__global__ void __launch_bounds__(sigmoid_focal::threads)
    sigmoid_focal_loss_sum_kernel(SigmoidFocalArguments<T, Target> a,
                                  acc_t<T>* __restrict__ parts) {
  acc_t<T> sum = 0;
  for_each_pack<T, Target, pack>(
      a, [&](int64_t i, const Pack<T, pack>& x, const Pack<Target, pack>& t, int count) {
#pragma unroll
        for (int j = 0; j < pack; ++j) {
          const SigmoidFocal<acc_t<T>> f(widen(x.item[j]), widen(t.item[j]), a.alpha);
          if (j < count) sum += weighed(f.loss(a.gamma), weight_of(a, i + j));
        }
      });
  sum = block_sum<sigmoid_focal::threads>(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

template <typename T, typename Target, int pack>
__global__ void __launch_bounds__(sigmoid_focal::threads)
    sigmoid_focal_loss_backward_kernel(const T* __restrict__ grad,
                                       const acc_t<T>* __restrict__ one_grad,
                                       SigmoidFocalArguments<T, Target> a, T* __restrict__ grad_x) {
  const acc_t<T> of_all = grad == nullptr ? *one_grad : acc_t<T>(0);
  for_each_pack<T, Target, pack>(
      a, [&](int64_t i, const Pack<T, pack>& x, const Pack<Target, pack>& t, int count) {
        Pack<T, pack> out;
#pragma unroll
        for (int j = 0; j < pack; ++j) {
          const SigmoidFocal<acc_t<T>> f(widen(x.item[j]), widen(t.item[j]), a.alpha);
          const acc_t<T> weight = j < count ? weight_of(a, i + j) : acc_t<T>(0);
          const acc_t<T> g = grad == nullptr || j >= count ? of_all : widen(grad[i + j]);
          out.item[j] = narrow<T>(weighed(g * f.derivative(a.gamma), weight));
        }
        store_first(grad_x + i, out, count);
      });
}

int64_t sigmoid_focal_parts(int64_t n) {
  return (n + sigmoid_focal::elements - 1) / sigmoid_focal::elements;
}

// Calls f.operator()<pack>() with the widest pack that all pointers are aligned to.
template <typename T, typename Target, typename F>
void with_pack(const SigmoidFocalArguments<T, Target>& a, const T* other, F f) {
  constexpr int wide = 16 / sizeof(T) < 16 / sizeof(Target) ? 16 / sizeof(T) : 16 / sizeof(Target);
  const auto aligned = [](const auto* p) {
    return reinterpret_cast<uintptr_t>(p) % (sizeof(*p) * wide) == 0;
  };
  if (aligned(a.x) && aligned(a.targets) && aligned(other)) {
    f.template operator()<wide>();
  } else {
    f.template operator()<1>();
  }
}

template <typename T, typename Target>
void launch_sigmoid_focal_loss(const SigmoidFocalArguments<T, Target>& a, T* loss,
                               cudaStream_t stream) {
  if (a.n == 0) return;
  const dim3 grid(static_cast<unsigned>(sigmoid_focal_parts(a.n)));
  with_pack(a, loss, [&]<int pack>() {
    launch(sigmoid_focal_loss_kernel<T, Target, pack>, grid, dim3(sigmoid_focal::threads), 0,
           stream, a, loss);
  });
}

template <typename T, typename Target>
void launch_sigmoid_focal_loss_sum(const SigmoidFocalArguments<T, Target>& a, acc_t<T>* parts,
                                   acc_t<T>* sum, cudaStream_t stream) {
  const int64_t blocks = sigmoid_focal_parts(a.n);
  if (blocks > 0) {
    with_pack(a, static_cast<const T*>(nullptr), [&]<int pack>() {
      launch(sigmoid_focal_loss_sum_kernel<T, Target, pack>, dim3(static_cast<unsigned>(blocks)),
             dim3(sigmoid_focal::threads), 0, stream, a, parts);
    });
  }
  launch_sum_parts<acc_t<T>>(parts, blocks, sum, nullptr, stream);
}

template <typename T, typename Target>
void launch_sigmoid_focal_loss_backward(const T* grad, const acc_t<T>* one_grad,
                                        const SigmoidFocalArguments<T, Target>& a, T* grad_x,
                                        cudaStream_t stream) {
  if (a.n == 0) return;
  const dim3 grid(static_cast<unsigned>(sigmoid_focal_parts(a.n)));
  with_pack(a, grad_x, [&]<int pack>() {
    launch(sigmoid_focal_loss_backward_kernel<T, Target, pack>, grid, dim3(sigmoid_focal::threads),
           0, stream, grad, one_grad, a, grad_x);
  });
}

}  // namespace fastcv::cuda
