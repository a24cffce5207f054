// CPU launcher: sixteen lines at a time are brought side by side, in the L1 cache, and pooled.
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "corner_pool/corner_pool.h"

#define FASTCV_CPU_KERNEL "corner_pool/corner_pool_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t side_by_side = 16;

// f(offset of the first line, how many, room for `buffers` times their pixels) for up to 16 lines
// at a time, on all threads.
template <typename Acc, typename F>
void for_each_16_lines(const PoolLines& lines, int buffers, F f) {
  // Lines that are one pixel wide lie one after the other; else those of an outer index do.
  const int64_t run = lines.inner == 1 ? lines.outer : lines.inner;
  const int64_t runs = lines.inner == 1 ? 1 : lines.outer;
  const int64_t groups = ceil_div(run, side_by_side);
  const int64_t pixels = side_by_side * lines.length;
  at::parallel_for(0, runs * groups, 32768 / pixels + 1, [&](int64_t begin, int64_t end) {
    std::vector<Acc> scratch(buffers * pixels);
    for (int64_t g = begin; g < end; ++g) {
      const int64_t first = g % groups * side_by_side;
      const int64_t offset =
          lines.inner == 1 ? first * lines.length : g / groups * lines.length * lines.inner + first;
      f(offset, static_cast<int>(std::min(side_by_side, run - first)), scratch.data());
    }
  });
}

at::Tensor corner_pool_cpu(const at::Tensor& input, std::string_view direction) {
  check_corner_pool(input, direction);
  const at::Tensor source = dense_like(input, input);
  const at::Tensor output = at::empty_like(source);
  if (output.numel() == 0) return output;
  const PoolLines lines = pool_lines(source, direction);
  advise_huge_pages(output);
  dispatch_floating(input.scalar_type(), "corner_pool", "input", [&]<typename T>() {
    using Acc = acc_t<T>;
    const T* from = source.const_data_ptr<T>();
    T* to = output.mutable_data_ptr<T>();
    for_each_16_lines<Acc>(lines, 1, [&](int64_t offset, int count, Acc* pixels) {
      FASTCV_ISA_CALL(load_lines<T, Acc>)(from + offset, lines.length, lines.inner, count, pixels);
      FASTCV_ISA_CALL(pool_lines_of_16<Acc>)(pixels, lines.length, lines.backwards);
      FASTCV_ISA_CALL(store_lines<T, Acc>)(pixels, lines.length, lines.inner, count, to + offset);
    });
  });
  return output;
}

at::Tensor corner_pool_backward_cpu(const at::Tensor& grad, const at::Tensor& input,
                                    const at::Tensor& output, std::string_view direction) {
  check_corner_pool_backward(grad, input, output, direction);
  const at::Tensor x = dense_like(input, input), y = dense_like(output, input);
  const at::Tensor by_output = dense_like(grad, input), by_input = at::empty_like(x);
  if (by_input.numel() == 0) return by_input;
  const PoolLines lines = pool_lines(x, direction);
  advise_huge_pages(by_input);
  dispatch_floating(input.scalar_type(), "corner_pool", "input", [&]<typename T>() {
    using Acc = acc_t<T>;
    for_each_16_lines<Acc>(lines, 3, [&](int64_t offset, int count, Acc* pixels) {
      const int64_t size = side_by_side * lines.length;
      int k = 0;
      for (const at::Tensor& t : {x, y, by_output}) {
        FASTCV_ISA_CALL(load_lines<T, Acc>)
        (t.const_data_ptr<T>() + offset, lines.length, lines.inner, count, pixels + size * k++);
      }
      Acc* sums = pixels + 2 * size;
      FASTCV_ISA_CALL(unpool_lines_of_16<Acc>)
      (pixels, pixels + size, sums, lines.length, lines.backwards);
      FASTCV_ISA_CALL(store_lines<T, Acc>)
      (sums, lines.length, lines.inner, count, by_input.mutable_data_ptr<T>() + offset);
    });
  });
  return by_input;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("corner_pool", corner_pool_cpu);
  m.impl("_corner_pool_backward", corner_pool_backward_cpu);
}

}  // namespace fastcv
