// What a dtype is computed in: double for double, float for all others.
#pragma once

#include <type_traits>

namespace fastcv {

template <typename T>
using acc_t = std::conditional_t<sizeof(T) == 8, double, float>;

}  // namespace fastcv
