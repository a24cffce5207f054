// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/cuda/strided.h"
#include "common/host/accumulate.h"
#include "flow_warp/warp_sample.h"

namespace fastcv::cuda {

// `flow` is dense [B, 2, H', W'].
template <typename T>
void launch_flow_warp(const WarpShape& shape, Strided<const T> input, const acc_t<T>* flow,
                      Strided<T> output, cudaStream_t stream);

// Adds to zeros, in no order.
template <typename T>
void launch_flow_warp_scatter(const WarpShape& shape, Strided<const T> grad, const acc_t<T>* flow,
                              Strided<acc_t<T>> grad_input, cudaStream_t stream);

// The same in an order that is always the same.
template <typename T>
void launch_flow_warp_ordered_scatter(const WarpShape& shape, Strided<const T> grad,
                                      const acc_t<T>* flow, Strided<acc_t<T>> grad_input,
                                      cudaStream_t stream);

// `grad_flow` is dense, as `flow`.
template <typename T>
void launch_flow_warp_flow_gradient(const WarpShape& shape, Strided<const T> grad,
                                    Strided<const T> input, const acc_t<T>* flow,
                                    acc_t<T>* grad_flow, cudaStream_t stream);

}  // namespace fastcv::cuda
