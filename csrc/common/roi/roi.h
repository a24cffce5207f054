// Checks that the RoI ops share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "common/host/checks.h"

namespace fastcv {

// `row` is the shape of rois as the reader should see it, "[K, 5]".
inline void check_rois(const char* op, const at::Tensor& input, const char* input_name,
                       const at::Tensor& rois, int64_t columns, const char* row,
                       double spatial_scale, int64_t pooled_height, int64_t pooled_width) {
  check_dimensions(op, input, input_name, 4);
  check_floating(op, input, input_name);
  check_matrix(op, rois, "rois", columns, row);
  check_floating(op, rois, "rois");
  check_same_device(op, input, input_name, rois, "rois");
  TORCH_CHECK(std::isfinite(spatial_scale), op, ": spatial_scale must be a finite number, got ",
              spatial_scale);
  TORCH_CHECK(pooled_height > 0 && pooled_width > 0, op, ": output_size must be positive, got (",
              pooled_height, ", ", pooled_width, ")");
  TORCH_CHECK(pooled_height * pooled_width < (int64_t{1} << 24), op,
              ": output_size must have fewer than 2^24 bins, got (", pooled_height, ", ",
              pooled_width, ")");
}

// The sizes of the feature map, as the kernels count pixels.
inline void check_feature_map(const char* op, int64_t batch, int64_t channels, int64_t height,
                              int64_t width) {
  TORCH_CHECK(batch >= 0 && channels >= 0 && height >= 0 && width >= 0, op,
              ": the feature map's sizes must not be negative, got [", batch, ", ", channels, ", ",
              height, ", ", width, "]");
  constexpr int64_t max_int = std::numeric_limits<int32_t>::max();
  TORCH_CHECK(height <= max_int && width <= max_int && height * width <= max_int, op,
              ": the feature map must have fewer than 2^31 pixels, got ", height, " x ", width);
}

inline void check_sampling_ratio(const char* op, int64_t sampling_ratio) {
  TORCH_CHECK(sampling_ratio <= 1 << 15, op, ": sampling_ratio must be at most 32768, got ",
              sampling_ratio);
}

inline void check_divisible(const char* op, int64_t channels, int64_t pooled_height,
                            int64_t pooled_width) {
  TORCH_CHECK(channels % (pooled_height * pooled_width) == 0, op,
              ": input's channels must be a multiple of pooled_height * pooled_width = ",
              pooled_height * pooled_width, ", got ", channels);
}

// What a backward op checks besides: the gradient fits what the forward op returned.
inline void check_roi_grad(const char* op, const at::Tensor& grad, const at::Tensor& rois,
                           int64_t channels, int64_t pooled_height, int64_t pooled_width) {
  TORCH_CHECK(grad.dim() == 4 && grad.size(0) == rois.size(0) && grad.size(1) == channels &&
                  grad.size(2) == pooled_height && grad.size(3) == pooled_width,
              op, ": grad must have shape [", rois.size(0), ", ", channels, ", ", pooled_height,
              ", ", pooled_width, "], got ", grad.sizes());
}

// On the CPU, where looking is free: every RoI names an image of the batch.
template <typename T>
void check_batch_index(const char* op, const T* rois, int64_t count, int64_t columns,
                       int64_t batch) {
  for (int64_t k = 0; k < count; ++k) {
    const T image = rois[k * columns];
    TORCH_CHECK(image >= 0 && image < static_cast<T>(batch), op, ": rois[", k,
                ", 0] must be the index of an image in a batch of ", batch, ", got ", image);
  }
}

}  // namespace fastcv
