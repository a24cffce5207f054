// Fresh memory costs a page fault for every 4 KiB at first touch: for a large output, more than the
// work of filling it. Huge pages cost one for every 2 MiB.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/cpu/buffer.h"
#include "common/host/ceil_div.h"
#include "common/host/memory_format.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fastcv {

// For memory that is about to be written for the first time.
inline void advise_huge_pages(const void* p, size_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t page = uintptr_t{2} << 20;
  const auto begin = reinterpret_cast<uintptr_t>(p);
  const uintptr_t first = round_up(begin, page), last = (begin + bytes) / page * page;
  // Refused, it is slower and nothing else.
  if (last > first + page) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

// For much memory, read in no order.
template <typename T>
Buffer<T> make_buffer_on_huge_pages(int64_t n) {
  Buffer<T> buffer = make_buffer<T>(n);
  advise_huge_pages(buffer.get(), n * sizeof(T));
  return buffer;
}

inline void advise_huge_pages(const at::Tensor& t) {
  advise_huge_pages(t.const_data_ptr(), t.nbytes());
}

// empty_in_format_of(), for an output that is about to be written whole.
inline at::Tensor empty_on_huge_pages(const at::Tensor& like, at::IntArrayRef shape) {
  at::Tensor t = empty_in_format_of(like, shape);
  advise_huge_pages(t);
  return t;
}

}  // namespace fastcv
