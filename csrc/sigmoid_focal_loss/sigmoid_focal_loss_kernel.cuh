// A block takes a fixed run of elements, a thread 16 bytes of neighbours at a time.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/pack.cuh"
#include "common/focal/block_sum.cuh"
#include "common/focal/focal.cuh"
#include "common/host/ceil_div.h"
#include "sigmoid_focal_loss/sigmoid_focal_loss_kernel.h"

namespace fastcv::cuda {

namespace sigmoid_focal {
constexpr int threads = 256;
constexpr int64_t elements = 4096;  // of a block
}  // namespace sigmoid_focal

__device__ __forceinline__ float widen(uint8_t x) { return x; }

// The loss of an element and its derivative; `squared`: gamma is 2.
template <typename T, bool squared>
struct SigmoidFocal {
  using Acc = acc_t<T>;
  Acc alpha_of_1, alpha_of_0, gamma;

  template <typename Target>
  __device__ explicit SigmoidFocal(const SigmoidFocalArguments<T, Target>& a)
      : alpha_of_1(a.alpha < 0 ? Acc(1) : a.alpha),
        alpha_of_0(a.alpha < 0 ? Acc(1) : 1 - a.alpha),
        gamma(a.gamma) {}

  // With e = e^-|x|, the more likely of the two classes has probability 1 / (1 + e). The other has
  // the share `wrong` of the target, so all but a sign is the same for positive and negative x.
  struct Element {
    Acc e, larger, wrong, right, by_e, alpha_t, cross_entropy, q;  // q = 1 - p_t
    bool positive;
  };

  __device__ Element element(Acc x, Acc t) const {
    Element f;
    Acc size = fabs(x);
    size = size > max_finite<Acc>() ? max_finite<Acc>() : size;  // NaN stays
    f.positive = x >= 0;
    f.e = decay<T>(size);
    f.larger = reciprocal(1 + f.e);
    const Acc rest = 1 - t;
    f.wrong = f.positive ? rest : t;
    f.right = 1 - f.wrong;
    f.by_e = fma(f.e, f.right, f.wrong);
    f.q = f.larger * f.by_e;
    f.cross_entropy = fma(size, f.wrong, log1p_of_unit(f.e));
    f.alpha_t = fma(alpha_of_1, t, alpha_of_0 * rest);
    return f;
  }

  __device__ Acc loss(Acc x, Acc t) const {
    const Element f = element(x, t);
    return f.alpha_t * f.cross_entropy * (squared ? f.q * f.q : power(f.q, gamma));
  }

  __device__ Acc derivative(Acc x, Acc t) const {
    const Element f = element(x, t);
    // Of |x|: dCE = (wrong - e right) / (1 + e) and dq = (wrong - right) e / (1 + e)^2. The former
    // is p - t, and loses no digits.
    const Acc slope = fma(-f.e, f.right, f.wrong), spread = f.cross_entropy * f.e;
    const Acc by_modulation = fma(2 * gamma, f.wrong, -gamma);
    Acc by_size;
    if constexpr (squared) {
      by_size =
          f.alpha_t * f.q * (f.larger * f.larger) * fma(by_modulation, spread, slope * f.by_e);
    } else {
      // e <= by_e.
      const Acc safe = f.by_e < min_normal<Acc>() ? min_normal<Acc>() : f.by_e;
      by_size = f.alpha_t * power(f.q, gamma) * f.larger * fma(by_modulation, spread / safe, slope);
    }
    return f.positive ? by_size : -by_size;
  }
};

// values[j] times the weight of element i + j. What has no weight counts for nothing, not even as a
// NaN.
template <typename T, typename Target, int pack>
__device__ __forceinline__ void weigh(const SigmoidFocalArguments<T, Target>& a, int64_t i,
                                      acc_t<T> (&values)[pack]) {
  if (a.weight == nullptr) return;
  // A 64-bit division takes many times as long.
  int64_t at = a.weight_run == 1 ? i
               : i >> 32 == 0 && a.weight_run >> 32 == 0
                   ? static_cast<uint32_t>(i) / static_cast<uint32_t>(a.weight_run)
                   : i / a.weight_run;
  int64_t next = (at + 1) * a.weight_run;  // the first element of the next weight
#pragma unroll
  for (int j = 0; j < pack; ++j) {
    if (i + j == next) ++at, next += a.weight_run;
    const acc_t<T> weight = a.weight[at];
    values[j] = weight == 0 ? acc_t<T>(0) : values[j] * weight;
  }
}

// Calls f(first element, logits, targets) for packs of the block's run, and one by one for what is
// left of the last.
template <typename T, typename Target, int pack, typename F>
__device__ __forceinline__ void for_each_pack(const SigmoidFocalArguments<T, Target>& a, F f) {
  const int64_t begin = int64_t{blockIdx.x} * sigmoid_focal::elements;
#pragma unroll 1  // the pack is unrolled, and each element's arithmetic is long
  for (int k = 0; k < sigmoid_focal::elements; k += sigmoid_focal::threads * pack) {
    const int64_t i = begin + k + static_cast<int>(threadIdx.x) * pack;
    if (i + pack <= a.n) {
      f(i, load_pack<pack>(a.x + i), load_pack<pack>(a.targets + i));
    } else {
#pragma unroll 1
      for (int64_t j = i; j < a.n; ++j) f(j, load_pack<1>(a.x + j), load_pack<1>(a.targets + j));
    }
  }
}

template <typename T, typename Target, int pack, bool squared>
__global__ void __launch_bounds__(sigmoid_focal::threads)
    sigmoid_focal_loss_kernel(SigmoidFocalArguments<T, Target> a, T* __restrict__ loss) {
  const SigmoidFocal<T, squared> focal(a);
  for_each_pack<T, Target, pack>(
      a, [&]<int size>(int64_t i, const Pack<T, size>& x, const Pack<Target, size>& t) {
        acc_t<T> values[size];
#pragma unroll
        for (int j = 0; j < size; ++j) values[j] = focal.loss(widen(x.item[j]), widen(t.item[j]));
        weigh(a, i, values);
        store_pack<size>(loss + i, values);
      });
}

template <typename T, typename Target, int pack, bool squared>
__global__ void __launch_bounds__(sigmoid_focal::threads)
    sigmoid_focal_loss_sum_kernel(SigmoidFocalArguments<T, Target> a,
                                  acc_t<T>* __restrict__ parts) {
  const SigmoidFocal<T, squared> focal(a);
  acc_t<T> sum = 0;
  for_each_pack<T, Target, pack>(
      a, [&]<int size>(int64_t i, const Pack<T, size>& x, const Pack<Target, size>& t) {
        acc_t<T> values[size];
#pragma unroll
        for (int j = 0; j < size; ++j) values[j] = focal.loss(widen(x.item[j]), widen(t.item[j]));
        weigh(a, i, values);
#pragma unroll
        for (int j = 0; j < size; ++j) sum += values[j];
      });
  sum = block_sum<sigmoid_focal::threads>(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

template <typename T, typename Target, int pack, bool squared>
__global__ void __launch_bounds__(sigmoid_focal::threads)
    sigmoid_focal_loss_backward_kernel(const T* __restrict__ grad,
                                       const acc_t<T>* __restrict__ one_grad,
                                       SigmoidFocalArguments<T, Target> a, T* __restrict__ grad_x) {
  const SigmoidFocal<T, squared> focal(a);
  const acc_t<T> of_all = grad == nullptr ? *one_grad : acc_t<T>(0);
  for_each_pack<T, Target, pack>(
      a, [&]<int size>(int64_t i, const Pack<T, size>& x, const Pack<Target, size>& t) {
        acc_t<T> values[size];
#pragma unroll
        for (int j = 0; j < size; ++j) values[j] = of_all;
        if (grad != nullptr) {
          const Pack<T, size> g = load_pack<size>(grad + i);
#pragma unroll
          for (int j = 0; j < size; ++j) values[j] = widen(g.item[j]);
        }
#pragma unroll
        for (int j = 0; j < size; ++j) {
          values[j] *= focal.derivative(widen(x.item[j]), widen(t.item[j]));
        }
        weigh(a, i, values);
        store_pack<size>(grad_x + i, values);
      });
}

int64_t sigmoid_focal_parts(int64_t n) { return ceil_div(n, sigmoid_focal::elements); }

// Calls f.operator()<pack, squared>() with the widest pack that all pointers are aligned to.
template <typename T, typename Target, typename F>
void with_pack(const SigmoidFocalArguments<T, Target>& a, const T* grad, const T* out, F f) {
  constexpr int wide = 16 / sizeof(T) < 16 / sizeof(Target) ? 16 / sizeof(T) : 16 / sizeof(Target);
  const auto aligned = [](const auto* p) {
    return reinterpret_cast<uintptr_t>(p) % (sizeof(*p) * wide) == 0;
  };
  const bool packed = aligned(a.x) && aligned(a.targets) && aligned(grad) && aligned(out);
  if (a.gamma == 2) {
    packed ? f.template operator()<wide, true>() : f.template operator()<1, true>();
  } else {
    packed ? f.template operator()<wide, false>() : f.template operator()<1, false>();
  }
}

template <typename T, typename Target>
void launch_sigmoid_focal_loss(const SigmoidFocalArguments<T, Target>& a, T* loss,
                               cudaStream_t stream) {
  if (a.n == 0) return;
  const dim3 grid(static_cast<unsigned>(sigmoid_focal_parts(a.n)));
  with_pack(a, static_cast<const T*>(nullptr), loss, [&]<int pack, bool squared>() {
    launch(sigmoid_focal_loss_kernel<T, Target, pack, squared>, grid, dim3(sigmoid_focal::threads),
           0, stream, a, loss);
  });
}

template <typename T, typename Target>
void launch_sigmoid_focal_loss_sum(const SigmoidFocalArguments<T, Target>& a, acc_t<T>* parts,
                                   acc_t<T>* sum, cudaStream_t stream) {
  const int64_t blocks = sigmoid_focal_parts(a.n);
  if (blocks > 0) {
    const T* none = nullptr;
    with_pack(a, none, none, [&]<int pack, bool squared>() {
      launch(sigmoid_focal_loss_sum_kernel<T, Target, pack, squared>,
             dim3(static_cast<unsigned>(blocks)), dim3(sigmoid_focal::threads), 0, stream, a,
             parts);
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
  with_pack(a, grad, grad_x, [&]<int pack, bool squared>() {
    launch(sigmoid_focal_loss_backward_kernel<T, Target, pack, squared>, grid,
           dim3(sigmoid_focal::threads), 0, stream, grad, one_grad, a, grad_x);
  });
}

}  // namespace fastcv::cuda
