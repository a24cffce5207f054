// CUDA launcher: everything dense in the order of the inputs' memory, then one kernel.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "sigmoid_focal_loss/memory_order.h"
#include "sigmoid_focal_loss/sigmoid_focal_loss.h"
#include "sigmoid_focal_loss/sigmoid_focal_loss_kernel.h"

namespace fastcv {
namespace {

// Factors in the order of the elements, each for a run of them.
struct Weights {
  at::Tensor values;
  int64_t run = 1;

  Weights(const std::optional<at::Tensor>& weight, const at::Tensor& inputs,
          at::IntArrayRef order) {
    if (!weight.has_value()) return;
    const at::Tensor wide = weight->to(wide_dtype(inputs));
    int64_t rows = 1, d = 0;
    while (d < wide.dim() && wide.size(d) == inputs.size(d)) rows *= wide.size(d++);
    if (rows == wide.numel() && rows > 0 && inputs.is_contiguous()) {  // of whole rows
      values = wide.contiguous();
      run = inputs.numel() / rows;
    } else {
      values = expand_leading(wide, inputs.sizes()).permute(order).contiguous();
    }
  }
};

// Calls f.operator()<T, Target>() with the dtypes that there is a kernel for; `targets` becomes one
// of them.
template <typename F>
void dispatch(const at::Tensor& inputs, at::Tensor& targets, F f) {
  dispatch_floating(inputs.scalar_type(), "sigmoid_focal_loss", "inputs", [&]<typename T>() {
    const auto dtype = targets.scalar_type();
    if (dtype == at::kBool || dtype == at::kByte) {
      targets = targets.view(at::kByte);
      f.template operator()<T, uint8_t>();
    } else if (sizeof(T) == 2 && dtype == at::kFloat) {
      if constexpr (sizeof(T) == 2) f.template operator()<T, float>();
    } else {
      targets = targets.to(inputs.scalar_type());
      f.template operator()<T, T>();
    }
  });
}

template <typename T, typename Target>
cuda::SigmoidFocalArguments<device_t<T>, device_t<Target>> arguments(const at::Tensor& inputs,
                                                                     const at::Tensor& targets,
                                                                     const Weights& weights,
                                                                     double alpha, double gamma) {
  using Acc = acc_t<T>;
  return {device_ptr<T>(inputs),
          device_ptr<Target>(targets),
          weights.values.defined() ? weights.values.const_data_ptr<Acc>() : nullptr,
          weights.run,
          inputs.numel(),
          static_cast<Acc>(alpha),
          static_cast<Acc>(gamma)};
}

void check_size(const at::Tensor& inputs) {
  TORCH_CHECK(inputs.numel() < int64_t{1} << 43,
              "sigmoid_focal_loss: inputs must have fewer than 2^43 elements on CUDA, got ",
              inputs.numel());
}

at::Tensor sigmoid_focal_loss_cuda(const at::Tensor& inputs, const at::Tensor& targets,
                                   double alpha, double gamma,
                                   const std::optional<at::Tensor>& weight, bool reduce) {
  check_sigmoid_focal_loss(inputs, targets, alpha, gamma, weight, nullptr);
  check_size(inputs);
  const c10::cuda::CUDAGuard device_guard(inputs.device());
  const auto wide = inputs.options().dtype(wide_dtype(inputs));
  const at::Tensor loss = reduce ? at::empty({}, wide) : at::empty_like(inputs);
  const auto order = memory_order(reduce ? inputs : loss);
  const at::Tensor x = inputs.permute(order).contiguous();
  at::Tensor t = targets.permute(order).contiguous();
  const Weights weights(weight, inputs, order);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  dispatch(inputs, t, [&]<typename T, typename Target>() {
    const auto a = arguments<T, Target>(x, t, weights, alpha, gamma);
    if (reduce) {
      const at::Tensor parts = at::empty({cuda::sigmoid_focal_parts(a.n)}, wide);
      cuda::launch_sigmoid_focal_loss_sum(a, parts.mutable_data_ptr<acc_t<T>>(),
                                          loss.mutable_data_ptr<acc_t<T>>(), stream);
    } else {
      cuda::launch_sigmoid_focal_loss(a, mutable_device_ptr<T>(loss), stream);
    }
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return loss;
}

at::Tensor sigmoid_focal_loss_backward_cuda(const at::Tensor& grad, const at::Tensor& inputs,
                                            const at::Tensor& targets, double alpha, double gamma,
                                            const std::optional<at::Tensor>& weight) {
  check_sigmoid_focal_loss(inputs, targets, alpha, gamma, weight, &grad);
  check_size(inputs);
  const c10::cuda::CUDAGuard device_guard(inputs.device());
  const at::Tensor grad_inputs = at::empty_like(inputs);
  const auto order = memory_order(grad_inputs);
  const at::Tensor x = inputs.permute(order).contiguous();
  at::Tensor t = targets.permute(order).contiguous();
  const Weights weights(weight, inputs, order);
  const bool one = grad.dim() == 0;
  const at::Tensor g =
      one ? grad.to(wide_dtype(inputs)) : grad.to(inputs.scalar_type()).permute(order).contiguous();
  dispatch(inputs, t, [&]<typename T, typename Target>() {
    const auto a = arguments<T, Target>(x, t, weights, alpha, gamma);
    cuda::launch_sigmoid_focal_loss_backward(
        one ? nullptr : device_ptr<T>(g), one ? g.const_data_ptr<acc_t<T>>() : nullptr, a,
        mutable_device_ptr<T>(grad_inputs), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return grad_inputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("sigmoid_focal_loss", sigmoid_focal_loss_cuda);
  m.impl("_sigmoid_focal_loss_backward", sigmoid_focal_loss_backward_cuda);
}

}  // namespace fastcv
