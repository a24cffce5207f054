// What does not depend on the device: schema, checks, and the plan.
#include "mel_spectrogram/mel_spectrogram.h"

#include <torch/library.h>

#include <cmath>

#include "common/host/checks.h"

namespace fastcv {

constexpr int64_t max_window = 8192;

void check_mel_spectrogram(const at::Tensor& waves, const at::Tensor& window,
                           const at::Tensor& filters, int64_t hop, int64_t pad, bool reflect,
                           double floor) {
  const char* op = "mel_spectrogram";
  check_dimensions(op, waves, "waves", 2);
  TORCH_CHECK(waves.scalar_type() == at::kFloat || waves.scalar_type() == at::kDouble, op,
              ": waves must be float64 or float32, got ", waves.scalar_type());
  check_dimensions(op, window, "window", 1);
  check_like(op, window, "window", waves, "waves");
  const int64_t size = window.size(0), samples = waves.size(1);
  TORCH_CHECK(size >= 1 && size <= max_window, op, ": window must have 1 to ", max_window,
              " samples, got ", size);
  check_matrix(op, filters, "filters", size / 2 + 1, "[M, W / 2 + 1] with the W of window");
  check_like(op, filters, "filters", waves, "waves");
  TORCH_CHECK(hop >= 1, op, ": hop must be at least 1, got ", hop);
  TORCH_CHECK(pad >= 0, op, ": pad must be at least 0, got ", pad);
  TORCH_CHECK(!reflect || pad == 0 || pad < samples, op,
              ": waves must be longer than pad to be mirrored, got ", samples, " samples and ",
              pad);
  TORCH_CHECK(samples + 2 * pad >= size, op, ": waves with their padding must have the ", size,
              " samples of window, got ", samples + 2 * pad);
  TORCH_CHECK(floor == 0 || (floor >= 1e-37 && std::isfinite(floor)), op,
              ": floor must be 0 or at least 1e-37, got ", floor);
}

MelPlan mel_plan(const at::Tensor& waves, const at::Tensor& window, const at::Tensor& filters,
                 int64_t hop, int64_t pad, bool reflect, bool magnitude, double floor) {
  MelPlan plan{};
  plan.samples = waves.size(1);
  plan.window = static_cast<int32_t>(window.size(0));
  plan.filters = static_cast<int32_t>(filters.size(0));
  plan.hop = hop, plan.pad = pad, plan.reflect = reflect;
  plan.frames = 1 + (plan.samples + 2 * pad - plan.window) / hop;
  plan.magnitude = magnitude, plan.floor = floor;
  plan.points = plan.is_halved() ? plan.window / 2 : plan.window;
  int32_t left = plan.points;
  for (int32_t r : {4, 2, 3, 5}) {
    for (; left % r == 0; left /= r) plan.radices[plan.steps++] = r;
  }
  for (int32_t r = 7; left > 1; r += 2) {
    for (; left % r == 0; left /= r) plan.radices[plan.steps++] = r;
  }
  return plan;
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "mel_spectrogram(Tensor waves, Tensor window, Tensor filters, int hop, int pad, bool reflect,"
      " bool magnitude, float floor) -> Tensor");
}

}  // namespace fastcv
