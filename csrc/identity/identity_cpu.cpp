// CPU launcher: check, allocate, pick the dtype and the instruction set, split the work.
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <cstdint>

#include "common/host/dispatch.h"
#include "identity/identity.h"

#define FASTCV_CPU_KERNEL "identity/identity_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

at::Tensor identity_cpu(const at::Tensor& x) {
  check_identity(x);
  at::Tensor y = at::empty_like(x);
  // A dense tensor in any order keeps its strides, so its memory can be copied as it lies.
  const at::Tensor source =
      x.strides() == y.strides() ? x : x.contiguous(x.suggest_memory_format());
  dispatch_floating(x.scalar_type(), "identity", "x", [&]<typename T>() {
    const T* src = source.const_data_ptr<T>();
    T* dst = y.mutable_data_ptr<T>();
    at::parallel_for(0, x.numel(), /*grain_size=*/32768, [&](int64_t begin, int64_t end) {
      FASTCV_ISA_CALL(identity<T>)(src + begin, dst + begin, end - begin);
    });
  });
  return y;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("identity", identity_cpu); }

}  // namespace fastcv
