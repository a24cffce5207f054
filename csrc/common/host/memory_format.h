// Which of the two memory formats a map is in.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

inline bool is_channels_last(const at::Tensor& t) {
  return t.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

}  // namespace fastcv
