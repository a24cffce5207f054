#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "softmax_focal_loss/softmax_focal_loss.h"
#include "softmax_focal_loss/softmax_focal_loss_kernel.h"

namespace fastcv {
namespace {

// What the kernel reads, in the dtypes it reads; keeps the tensors.
template <typename T>
struct Problem {
  using Acc = acc_t<T>;
  at::Tensor targets, class_alpha, weight;
  cuda::SoftmaxFocalArguments<device_t<T>> arguments;

  Problem(const at::Tensor& inputs, const at::Tensor& given, double alpha,
          const std::optional<at::Tensor>& class_alpha, double gamma,
          const std::optional<at::Tensor>& weight, int64_t ignore_index)
      : class_alpha(class_weights(class_alpha, inputs)), weight(row_weights(weight, inputs)) {
    const bool soft = has_probabilities(given);
    targets = given.to(soft ? inputs.scalar_type() : at::kLong).contiguous();
    arguments = {device_ptr<T>(inputs),
                 inputs.size(0),
                 inputs.size(1),
                 inputs.stride(0),
                 inputs.stride(1),
                 soft ? nullptr : targets.const_data_ptr<int64_t>(),
                 soft ? device_ptr<T>(targets) : nullptr,
                 ignore_index,
                 data_or_null(this->class_alpha),
                 data_or_null(this->weight),
                 static_cast<Acc>(alpha),
                 static_cast<Acc>(gamma)};
  }

  static const Acc* data_or_null(const at::Tensor& t) {
    return t.defined() ? t.const_data_ptr<Acc>() : nullptr;
  }
};

void check_size(const at::Tensor& inputs) {
  TORCH_CHECK(inputs.size(0) < int64_t{1} << 32,
              "softmax_focal_loss: inputs must have fewer than 2^32 rows on CUDA, got ",
              inputs.size(0));
}

std::tuple<at::Tensor, at::Tensor> softmax_focal_loss_cuda(
    const at::Tensor& inputs, const at::Tensor& targets, double alpha,
    const std::optional<at::Tensor>& class_alpha, double gamma,
    const std::optional<at::Tensor>& weight, int64_t ignore_index, bool reduce) {
  check_softmax_focal_loss(inputs, targets, class_alpha, gamma, weight, nullptr);
  check_size(inputs);
  const c10::cuda::CUDAGuard device_guard(inputs.device());
  const auto wide = inputs.options().dtype(wide_dtype(inputs));
  const at::Tensor loss =
      reduce ? at::empty({}, wide) : at::empty({inputs.size(0)}, inputs.options());
  const at::Tensor count = reduce ? at::empty({}, wide) : at::empty({0}, wide);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  dispatch_floating(inputs.scalar_type(), "softmax_focal_loss", "inputs", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Problem<T> problem(inputs, targets, alpha, class_alpha, gamma, weight, ignore_index);
    if (reduce) {
      const auto blocks = cuda::softmax_focal_parts(inputs.size(0), inputs.size(1));
      const at::Tensor parts = at::empty({2, blocks}, wide);
      cuda::launch_softmax_focal_loss_sum(problem.arguments, parts.mutable_data_ptr<Acc>(),
                                          loss.mutable_data_ptr<Acc>(),
                                          count.mutable_data_ptr<Acc>(), stream);
    } else {
      cuda::launch_softmax_focal_loss(problem.arguments, mutable_device_ptr<T>(loss), stream);
    }
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return {loss, count};
}

at::Tensor softmax_focal_loss_backward_cuda(const at::Tensor& grad, const at::Tensor& inputs,
                                            const at::Tensor& targets, double alpha,
                                            const std::optional<at::Tensor>& class_alpha,
                                            double gamma, const std::optional<at::Tensor>& weight,
                                            int64_t ignore_index) {
  check_softmax_focal_loss(inputs, targets, class_alpha, gamma, weight, &grad);
  check_size(inputs);
  const c10::cuda::CUDAGuard device_guard(inputs.device());
  const at::Tensor grad_inputs = at::empty_like(inputs);
  const at::Tensor grads = grad.to(wide_dtype(inputs)).contiguous();
  dispatch_floating(inputs.scalar_type(), "softmax_focal_loss", "inputs", [&]<typename T>() {
    const Problem<T> problem(inputs, targets, alpha, class_alpha, gamma, weight, ignore_index);
    cuda::launch_softmax_focal_loss_backward(grads.const_data_ptr<acc_t<T>>(), grads.dim(),
                                             problem.arguments, mutable_device_ptr<T>(grad_inputs),
                                             grad_inputs.stride(0), grad_inputs.stride(1),
                                             c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return grad_inputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("softmax_focal_loss", softmax_focal_loss_cuda);
  m.impl("_softmax_focal_loss_backward", softmax_focal_loss_backward_cuda);
}

}  // namespace fastcv
