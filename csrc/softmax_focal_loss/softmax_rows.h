// What the CPU launcher and its kernel share.
#pragma once

#include <cstdint>

namespace fastcv {

inline constexpr int group_rows = 16;           // rows side by side in vectors
inline constexpr int64_t chunk_classes = 1024;  // of a group, in cache at a time

// Rows of a matrix [N, C] of any dtype, from one of them on: what it takes to get `count` classes
// of up to 16 rows, side by side, as Acc, and back. So the kernels know no dtype but Acc.
template <typename Acc>
struct RowReader {
  const void* data;
  int64_t row_stride, class_stride;
  void (*load)(const RowReader& rows_of, int rows, int64_t begin, int64_t count, Acc* to);
};

template <typename Acc>
struct RowWriter {
  void* data;
  int64_t row_stride, class_stride;
  void (*store)(const RowWriter& rows_of, int rows, int64_t begin, int64_t count, const Acc* from);
};

template <typename Acc>
struct SoftmaxFocalOptions {
  int64_t classes;
  Acc gamma;
  const Acc* class_alpha;  // or null
};

}  // namespace fastcv
