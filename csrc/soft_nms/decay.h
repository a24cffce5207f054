// How a selected box lowers the score of another, for host and device.
#pragma once

#include "common/nms/box.h"

namespace fastcv {

// Score of boxes that were selected or dropped: below any score in play.
template <typename T>
FASTCV_HD T gone() {
  return -static_cast<T>(INFINITY);
}

template <typename T>
struct Decay {
  bool gaussian;
  T iou_threshold;  // overlaps up to here change nothing; 0 for gaussian
  double sigma;
  T score_threshold;

  Decay(bool gaussian, double iou_threshold, double sigma, double score_threshold)
      : gaussian(gaussian),
        iou_threshold(gaussian ? T(0) : round_down<T>(iou_threshold)),
        sigma(sigma),
        score_threshold(-round_down<T>(-score_threshold)) {}

  FASTCV_HD bool in_play(T score) const { return score >= score_threshold; }  // not for NaN

  // For iou > iou_threshold.
  FASTCV_HD T operator()(T score, T iou) const {
    // In double, so that host and device agree after rounding to float.
    const double overlap = static_cast<double>(iou);
    const T weight =
        gaussian ? static_cast<T>(exp(-(overlap * overlap) / sigma)) : (iou < 1 ? 1 - iou : T(0));
    const T result = score * weight;
    return in_play(result) ? result : gone<T>();
  }
};

}  // namespace fastcv
