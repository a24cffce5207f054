// The sizes of one call of deform_conv2d, for host and device.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

struct DeformShape {
  int64_t batch, channels, out_channels;
  int groups, offset_groups;
  int height, width, out_height, out_width;
  int kernel_height, kernel_width;
  int stride_height, stride_width;
  int padding_height, padding_width;
  int dilation_height, dilation_width;

  FASTCV_HD int taps() const { return kernel_height * kernel_width; }
  FASTCV_HD int64_t pixels() const { return int64_t{height} * width; }
  FASTCV_HD int64_t out_pixels() const { return int64_t{out_height} * out_width; }
  FASTCV_HD int64_t group_channels() const { return channels / groups; }
  FASTCV_HD int64_t group_out_channels() const { return out_channels / groups; }
  FASTCV_HD int64_t offset_group_channels() const { return channels / offset_groups; }
  // What one output pixel multiplies with one row of weights: all taps of a group's channels.
  FASTCV_HD int64_t columns() const { return taps() * group_channels(); }

  // Where a tap reads without its offset.
  FASTCV_HD int row_of(int out_y, int tap) const {
    return out_y * stride_height - padding_height + tap / kernel_width * dilation_height;
  }
  FASTCV_HD int column_of(int out_x, int tap) const {
    return out_x * stride_width - padding_width + tap % kernel_width * dilation_width;
  }
};

}  // namespace fastcv
