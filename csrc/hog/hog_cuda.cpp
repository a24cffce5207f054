#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "common/cuda/cuda_launcher.h"
#include "hog/hog.h"
#include "hog/hog_kernel.h"

namespace fastcv {
namespace {

at::Tensor hog_cuda(const at::Tensor& images, int64_t orientations, int64_t cell_size,
                    int64_t block_size) {
  const HogShape s = hog_shape(images, orientations, cell_size, block_size);
  const c10::cuda::CUDAGuard device_guard(images.device());
  const at::Tensor source = images.contiguous();
  const at::Tensor descriptors = at::empty(s.output(), images.options());
  if (descriptors.numel() == 0) return descriptors;
  const cuda::HogArguments arguments{s.batch,
                                     s.channels,
                                     s.height,
                                     s.width,
                                     s.cells_y,
                                     s.cells_x,
                                     s.blocks_y,
                                     s.blocks_x,
                                     static_cast<int>(orientations),
                                     static_cast<int>(cell_size),
                                     static_cast<int>(block_size)};
  dispatch_floating(images.scalar_type(), "hog", "images", [&]<typename T>() {
    using Acc = device_acc_t<T>;
    const auto options = images.options().dtype(c10::CppTypeToScalarType<Acc>::value);
    const std::vector<double> exact = hog_borders(orientations);
    cuda::HogBorders<Acc> borders{};
    std::copy(exact.begin(), exact.end(), borders.values);
    const at::Tensor cells = at::empty({s.batch, s.cells_y, s.cells_x, orientations}, options);
    cuda::launch_hog(arguments, device_ptr<T>(source), borders, cells.mutable_data_ptr<Acc>(),
                     mutable_device_ptr<T>(descriptors), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return descriptors;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("hog", hog_cuda); }

}  // namespace fastcv
