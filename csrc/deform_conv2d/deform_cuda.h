// What the CUDA launchers of both directions share: windows of output pixels, small enough for
// their columns to stay in the L2 cache between the kernels and torch's matrix products. Everything
// is in rows of pixels with their channels side by side; NCHW tensors are brought there and back
// window by window.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <optional>

#include "common/cuda/cuda_launcher.h"
#include "common/host/ceil_div.h"
#include "common/host/memory_format.h"
#include "deform_conv2d/deform_conv2d_kernel.h"

namespace fastcv {

using cuda::DeformWindow;

constexpr int64_t deform_memory = int64_t{62} << 20;    // of a call, beyond its output
constexpr int64_t min_column_bytes = int64_t{8} << 20;  // of that for columns, or it gets slow
constexpr int64_t max_column_bytes = int64_t{40}
                                     << 20;  // of that for columns: in the L2, or nearly

template <typename T>
cuda::DeformPositions<device_t<T>> positions(const at::Tensor& offset,
                                             const std::optional<at::Tensor>& mask) {
  if (mask) return {strided<T>(offset), strided<T>(*mask)};
  return {strided<T>(offset), {nullptr, 0, 0, 0, 0}};
}

// Images [N, C, H, W] in any format as [N, pixels, C]; a view if they are channels_last or NCHW.
inline at::Tensor rows_of_images(const at::Tensor& images) {
  return images.flatten(2).transpose(1, 2);
}

// A window's output pixels in images [N, O, H', W']: [images, count, O].
inline at::Tensor rows_of_window(const at::Tensor& images, const DeformWindow& w) {
  return rows_of_images(images.narrow(0, w.image, w.images)).narrow(1, w.first, w.count);
}

template <typename T>
cuda::Pixels<const T> pixels(const at::Tensor& rows, const T* data) {
  return {data, rows.stride(0), rows.stride(1), rows.stride(2)};
}

// Calls f(window) for all, in order: whole images, or equal parts of one. `pixel` are the bytes
// that an output pixel needs, `image` those that an image does.
template <typename F>
void for_each_window(const DeformShape& s, int64_t pixel, int64_t image, F f) {
  const int64_t all = s.out_pixels();
  const int64_t columns = std::clamp(deform_memory - image, min_column_bytes, max_column_bytes);
  const int64_t at_once = std::clamp<int64_t>(
      std::min(deform_memory / (all * pixel + image), columns / (all * pixel)), 1, s.batch);
  const int64_t parts = ceil_div(all * pixel, columns);
  // Rows of matrices that begin at multiples of 16 bytes.
  const int64_t part = at_once > 1 ? all : std::min(ceil_div(all, parts * 8) * 8, all);
  const int64_t count = std::max<int64_t>(part, 1);
  for (int64_t n = 0; n < s.batch; n += at_once) {
    for (int64_t p = 0; p < all; p += count) {
      f(DeformWindow{n, std::min(at_once, s.batch - n), static_cast<int>(p),
                     static_cast<int>(std::min(count, all - p))});
    }
  }
}

// The weight as [groups, output channels of a group, columns of a group].
inline at::Tensor weight_rows(const at::Tensor& weight, const DeformShape& s) {
  return weight.permute({0, 2, 3, 1}).reshape({s.groups, s.group_out_channels(), s.columns()});
}

// Rows [rows, groups * wide] as [groups, rows, wide].
inline at::Tensor by_group(const at::Tensor& rows, const DeformShape& s) {
  return rows.unflatten(1, {s.groups, rows.size(1) / s.groups}).transpose(0, 1);
}

// to = left times right, group by group; to and left are rows, right is [groups, ., .].
inline void multiply_rows(at::Tensor to, const at::Tensor& left, const at::Tensor& right,
                          const DeformShape& s) {
  if (s.groups == 1) {
    at::mm_out(to, left, right[0]);
  } else {
    at::Tensor to_groups = by_group(to, s);
    at::bmm_out(to_groups, by_group(left, s), right);
  }
}

// Rows that every window uses anew. Views cost the host as much as the kernels cost the GPU, so
// they are made only where a window has fewer rows.
struct ReusedRows {
  at::Tensor all;

  at::Tensor first(int64_t rows, int64_t wide, const at::TensorOptions& options) {
    if (!all.defined() || all.size(0) < rows) all = at::empty({rows, wide}, options);
    return all.size(0) == rows ? all : all.narrow(0, 0, rows);
  }
};

}  // namespace fastcv
