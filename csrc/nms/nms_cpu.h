// What the CPU launcher calls of nms_grid.cpp.
#pragma once

#include <cstdint>

#include "common/nms/box.h"

namespace fastcv {

// Greedy NMS over boxes in order of falling score. Writes the ranks of the kept ones, in order, and
// returns how many. Boxes that cannot overlap enough are never compared; threshold >= 0.
template <typename T>
int64_t grid_nms(const Box<T>* boxes, int64_t n, T threshold, uint32_t* kept);

}  // namespace fastcv
