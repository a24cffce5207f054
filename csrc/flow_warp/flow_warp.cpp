// What does not depend on the device: schemas and checks. The gradient is registered in
// fastcv/ops/flow_warp.py.
#include "flow_warp/flow_warp.h"

#include <torch/library.h>

#include <limits>

#include "common/host/checks.h"

namespace fastcv {

void check_flow_warp(const at::Tensor& input, const at::Tensor& flow, std::string_view padding) {
  TORCH_CHECK(input.dim() == 4, "flow_warp: input must have shape [B, C, H, W], got ",
              input.sizes());
  check_floating("flow_warp", input, "input");
  TORCH_CHECK(flow.dim() == 4 && flow.size(0) == input.size(0) && flow.size(1) == 2,
              "flow_warp: flow must have shape [B, 2, H', W'] with B as in input, ", input.size(0),
              ", got ", flow.sizes());
  check_floating("flow_warp", flow, "flow");
  check_same_device("flow_warp", input, "input", flow, "flow");
  TORCH_CHECK(padding == "zeros" || padding == "border",
              "flow_warp: padding must be zeros or border, got '", padding, "'");
  for (const auto& [t, name] : {std::pair(input, "input"), std::pair(flow, "flow")}) {
    TORCH_CHECK(t.size(2) <= std::numeric_limits<int>::max() &&
                    t.size(3) <= std::numeric_limits<int>::max() &&
                    t.size(2) * t.size(3) <= std::numeric_limits<int>::max(),
                "flow_warp: ", name, " must have fewer than 2^31 pixels, got ", t.sizes());
  }
}

void check_flow_warp_backward(const at::Tensor& grad, const at::Tensor& input,
                              const at::Tensor& flow, std::string_view padding) {
  check_flow_warp(input, flow, padding);
  TORCH_CHECK(grad.dim() == 4 && grad.size(0) == input.size(0) && grad.size(1) == input.size(1) &&
                  grad.size(2) == flow.size(2) && grad.size(3) == flow.size(3),
              "flow_warp: grad must have the output's shape, got ", grad.sizes());
  check_like("flow_warp", grad, "grad", input, "input");
}

WarpShape warp_shape(const at::Tensor& input, const at::Tensor& flow, std::string_view padding,
                     bool align_corners) {
  return {input.size(0),
          input.size(1),
          static_cast<int>(input.size(2)),
          static_cast<int>(input.size(3)),
          static_cast<int>(flow.size(2)),
          static_cast<int>(flow.size(3)),
          padding == "border",
          align_corners};
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("flow_warp(Tensor input, Tensor flow, str padding, bool align_corners) -> Tensor");
  m.def(
      "_flow_warp_backward(Tensor grad, Tensor input, Tensor flow, str padding, bool "
      "align_corners, bool of_input, bool of_flow) -> (Tensor, Tensor)");
}

}  // namespace fastcv
