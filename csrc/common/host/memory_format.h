// Which of the two memory formats a map is in, and maps in the same.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

namespace fastcv {

inline bool is_channels_last(const at::Tensor& t) {
  return t.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

inline at::Tensor empty_in_format_of(const at::Tensor& like, at::IntArrayRef shape) {
  return at::empty(shape, like.options(), like.suggest_memory_format());
}

}  // namespace fastcv
