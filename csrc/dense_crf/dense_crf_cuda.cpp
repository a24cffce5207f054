// CUDA launcher. Vertices are numbered by sorting the pixels' keys: that also gives each vertex its
// pixels in order, so nothing is added by atomics. Softmax and the compatibility's product are
// torch's. Labels lie side by side, [pixels, labels].
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/unique_consecutive.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <vector>

#include "common/cuda/cuda_launcher.h"
#include "common/host/ceil_div.h"
#include "dense_crf/dense_crf.h"
#include "dense_crf/dense_crf_kernel.h"

namespace fastcv {
namespace {

struct LatticeCuda {
  int corners;
  int64_t vertices;
  double scale;
  at::Tensor weight;     // [pixels * corners]
  at::Tensor vertex;     // [pixels * corners] int32
  at::Tensor neighbour;  // [corners, vertices, 2] int32
  at::Tensor begin;      // [vertices + 1] int64
  at::Tensor order;      // [pixels * corners] int32: indices into weight, each vertex's together
  at::Tensor owner;      // [pixels * corners] int32: the vertex of each in `order`

  cuda::LatticeEntries entries() const {
    return {corners,
            order.size(0),
            vertices,
            begin.const_data_ptr<int64_t>(),
            order.const_data_ptr<int32_t>(),
            owner.const_data_ptr<int32_t>()};
  }
};

// One image in the CRF, computed in Acc.
template <typename Acc>
class MeanField {
 public:
  MeanField(const at::Tensor& unary, const at::Tensor& image,
            const std::optional<at::Tensor>& compatibility, const DenseCrfOptions& o)
      : score_(by_pixel(unary).neg()), compatibility_(compatibility) {
    for (const CrfKernel& kernel : crf_kernels(o, image.size(0))) {
      lattices_.push_back(make_lattice(image.contiguous(), kernel));
    }
  }

  // [labels, height, width] as [pixels, labels].
  static at::Tensor by_pixel(const at::Tensor& t) {
    return t.to(c10::CppTypeToScalarType<Acc>::value).flatten(1).t().contiguous();
  }

  at::Tensor start() const { return at::softmax(score_, 1); }

  at::Tensor step(const at::Tensor& q) const {
    if (!compatibility_) return at::softmax(add_messages(score_, q, false), 1);
    const at::Tensor message = add_messages(at::zeros_like(score_), q, false);
    return at::softmax(at::addmm(score_, message, compatibility_->t()), 1);
  }

  // From the gradient by a step's result q to those by its scores and by its input.
  at::Tensor by_score(const at::Tensor& grad, const at::Tensor& q) const {
    return at::_softmax_backward_data(grad, q, 1, q.scalar_type());
  }
  at::Tensor by_input(const at::Tensor& by_score) const {
    const at::Tensor by_message = compatibility_ ? at::mm(by_score, *compatibility_) : by_score;
    return add_messages(at::zeros_like(score_), by_message, true);
  }

 private:
  static cudaStream_t stream() { return c10::cuda::getCurrentCUDAStream(); }

  // base + the kernels' messages, or - where a compatibility makes costs of them: without one,
  // 1 - [l = m] is -[l = m] here, as the probabilities' sum is the same for each label.
  at::Tensor add_messages(const at::Tensor& base, const at::Tensor& labels, bool transposed) const {
    at::Tensor sum = base;
    for (const auto& lattice : lattices_) {
      const at::Tensor out = sum.is_same(base) ? at::empty_like(base) : sum;
      filter(lattice, labels, compatibility_ ? -lattice.scale : lattice.scale, transposed, sum,
             out);
      sum = out;
    }
    return sum;
  }

  static LatticeCuda make_lattice(const at::Tensor& image, const CrfKernel& kernel) {
    const int corners = static_cast<int>(kernel.corners()), d = corners - 1;
    const int64_t height = image.size(1), width = image.size(2), count = height * width * corners;
    LatticeCuda lattice{corners, 0, kernel.weight, at::empty({count}, image.options()), {}, {}, {},
                        {},      {}};
    const at::Tensor keys = at::empty({count}, image.options().dtype(at::kLong));
    cuda::launch_lattice_points(d, image.const_data_ptr<Acc>(), height, width, kernel.sxy,
                                kernel.srgb, keys.mutable_data_ptr<int64_t>(),
                                lattice.weight.mutable_data_ptr<Acc>(), stream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    const auto [sorted, order] = at::sort(keys, /*stable=*/true, /*dim=*/0, /*descending=*/false);
    const auto [vertices, number, counts] = at::unique_consecutive(sorted, true, true);
    lattice.vertices = vertices.size(0);
    lattice.order = order.to(at::kInt);
    lattice.owner = number.to(at::kInt);
    lattice.vertex = at::empty_like(lattice.owner);
    lattice.vertex.scatter_(0, order, lattice.owner);
    lattice.begin = at::zeros({lattice.vertices + 1}, keys.options());
    lattice.begin.slice(0, 1).copy_(counts.cumsum(0));
    lattice.neighbour = at::empty({corners, lattice.vertices, 2}, lattice.order.options());
    cuda::launch_lattice_neighbours(d, vertices.const_data_ptr<int64_t>(), lattice.vertices,
                                    lattice.neighbour.mutable_data_ptr<int32_t>(), stream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    normalize(lattice, height * width);
    return lattice;
  }

  // Weights such that the filter becomes k[i, j] / sqrt(k[i].sum() * k[j].sum()).
  static void normalize(LatticeCuda& lattice, int64_t pixels) {
    const at::Tensor sums = at::zeros({pixels, 1}, lattice.weight.options());
    filter(lattice, at::ones_like(sums), 1, false, sums, sums);
    lattice.weight.view({pixels, lattice.corners}).mul_(sums.rsqrt_());
  }

  // out = base + factor * the lattice's sums of labels; transposed, blurred in the reverse order.
  static void filter(const LatticeCuda& lattice, const at::Tensor& labels, double factor,
                     bool transposed, const at::Tensor& base, const at::Tensor& out) {
    const int64_t pixels = labels.size(0), channels = labels.size(1);
    const int64_t chunks = ceil_div(lattice.order.size(0), cuda::splat_chunk);
    at::Tensor values = at::empty({lattice.vertices, channels}, labels.options());
    at::Tensor other = at::empty_like(values);
    const at::Tensor parts = at::empty({chunks, channels}, labels.options());
    const Acc* weight = lattice.weight.const_data_ptr<Acc>();
    cuda::launch_lattice_splat(lattice.entries(), weight, labels.const_data_ptr<Acc>(), channels,
                               parts.mutable_data_ptr<Acc>(), values.mutable_data_ptr<Acc>(),
                               stream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    for (int k = 0; k < lattice.corners; ++k) {
      const int axis = transposed ? lattice.corners - 1 - k : k;
      const int32_t* neighbour = lattice.neighbour.const_data_ptr<int32_t>();
      cuda::launch_lattice_blur(neighbour + axis * lattice.vertices * 2,
                                values.const_data_ptr<Acc>(), lattice.vertices, channels,
                                other.mutable_data_ptr<Acc>(), stream());
      C10_CUDA_KERNEL_LAUNCH_CHECK();
      std::swap(values, other);
    }
    cuda::launch_lattice_slice(lattice.vertex.const_data_ptr<int32_t>(), weight, lattice.corners,
                               values.const_data_ptr<Acc>(), pixels, channels, factor,
                               base.const_data_ptr<Acc>(), out.mutable_data_ptr<Acc>(), stream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }

  at::Tensor score_;  // -unary, [pixels, labels]
  std::optional<at::Tensor> compatibility_;
  std::vector<LatticeCuda> lattices_;
};

template <typename F>
void dispatch_wide(const at::Tensor& unary, F f) {
  if (unary.scalar_type() == at::kDouble) return f.template operator()<double>();
  f.template operator()<float>();
}

at::Tensor dense_crf_cuda(const at::Tensor& unary, const at::Tensor& image,
                          const std::optional<at::Tensor>& compatibility, int64_t iterations,
                          double gaussian_sxy, double gaussian_weight, double bilateral_sxy,
                          double bilateral_srgb, double bilateral_weight) {
  const DenseCrfOptions o{iterations,    gaussian_sxy,   gaussian_weight,
                          bilateral_sxy, bilateral_srgb, bilateral_weight};
  check_dense_crf(unary, image, compatibility, o);
  const c10::cuda::CUDAGuard device_guard(unary.device());
  const at::Tensor out = at::empty(unary.sizes(), unary.options());
  if (out.numel() == 0) return out;
  dispatch_wide(unary, [&]<typename Acc>() {
    for (int64_t b = 0; b < out.size(0); ++b) {
      const MeanField<Acc> field(unary[b], image[b], compatibility, o);
      at::Tensor q = field.start();
      for (int64_t t = 0; t < iterations; ++t) q = field.step(q);
      out[b].flatten(1).copy_(q.t());
    }
  });
  return out;
}

at::Tensor dense_crf_backward_cuda(const at::Tensor& grad, const at::Tensor& unary,
                                   const at::Tensor& image,
                                   const std::optional<at::Tensor>& compatibility,
                                   int64_t iterations, double gaussian_sxy, double gaussian_weight,
                                   double bilateral_sxy, double bilateral_srgb,
                                   double bilateral_weight) {
  const DenseCrfOptions o{iterations,    gaussian_sxy,   gaussian_weight,
                          bilateral_sxy, bilateral_srgb, bilateral_weight};
  check_dense_crf_backward(grad, unary, image, compatibility, o);
  const c10::cuda::CUDAGuard device_guard(unary.device());
  const at::Tensor out = at::empty(unary.sizes(), unary.options());
  if (out.numel() == 0) return out;
  dispatch_wide(unary, [&]<typename Acc>() {
    for (int64_t b = 0; b < out.size(0); ++b) {
      const MeanField<Acc> field(unary[b], image[b], compatibility, o);
      std::vector<at::Tensor> q{field.start()};  // of every step
      for (int64_t t = 0; t < iterations; ++t) q.push_back(field.step(q.back()));
      at::Tensor by_score = field.by_score(field.by_pixel(grad[b]), q.back());
      at::Tensor sum = by_score.clone();
      for (q.pop_back(); !q.empty(); q.pop_back()) {
        by_score = field.by_score(field.by_input(by_score), q.back());
        sum += by_score;
      }
      out[b].flatten(1).copy_(sum.neg_().t());
    }
  });
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("dense_crf", dense_crf_cuda);
  m.impl("_dense_crf_backward", dense_crf_backward_cuda);
}

}  // namespace fastcv
