// CPU launcher. An iteration is a pass over the vertices of each lattice (sum the pixels, blur) and
// one over the pixels (collect from the vertices, softmax). Both only gather, each sum in an order
// of its own: the same bits with any number of threads.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "dense_crf/dense_crf.h"
#include "dense_crf/lattice_cpu.h"

#define FASTCV_CPU_KERNEL "dense_crf/dense_crf_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t tile_pixels = 64;
constexpr int side_by_side = 16;  // labels
constexpr int64_t tile_stride = tile_pixels * side_by_side;

// One kernel's Gaussian sums.
template <typename Acc>
class LatticeFilter {
 public:
  LatticeFilter(const LatticeCpu<Acc>& lattice, int blocks) : lattice_(lattice), blocks_(blocks) {
    const int64_t size = (lattice.vertices + 1) * blocks * side_by_side;  // the last row stays 0
    values_ = make_buffer_on_huge_pages<Acc>(size);
    other_ = make_buffer_on_huge_pages<Acc>(size);
    std::fill_n(values_.get(), size, Acc(0));
    std::fill_n(other_.get(), size, Acc(0));
  }

  // Sums `labels` in the vertices and blurs them, for collect(); the transposed filter blurs along
  // the axes in reverse order.
  void splat_and_blur(const Acc* labels, bool transposed) {
    splat(labels);
    for (int k = 0; k < lattice_.corners; ++k) {
      const int axis = transposed ? lattice_.corners - 1 - k : k;
      const int32_t* neighbour = &lattice_.neighbour[axis * lattice_.vertices * 2];
      at::parallel_for(0, lattice_.vertices, 512, [&](int64_t first, int64_t last) {
        FASTCV_ISA_CALL(lattice_blur<Acc>)
        (neighbour, first, last, blocks_, values_.get(), other_.get());
      });
      std::swap(values_, other_);
    }
  }

  // tile += factor * the sums of `count` pixels from `first` on.
  void collect(int64_t first, int64_t count, Acc factor, Acc* tile) const {
    const int64_t corner = first * lattice_.corners;
    FASTCV_ISA_CALL(lattice_slice<Acc>)
    (&lattice_.vertex[corner], &lattice_.weight[corner], lattice_.corners, count, values_.get(),
     blocks_, factor * lattice_.scale, tile, tile_stride);
  }

 private:
  void splat(const Acc* labels) {
    // Shares of the entries, not of the vertices: one in a plain sky has thousands.
    const auto& begin = lattice_.begin;
    const int64_t entries = begin.back();
    const auto vertex_from = [&](int64_t entry) {
      return std::lower_bound(begin.begin(), begin.end(), entry) - begin.begin();
    };
    at::parallel_for(0, entries, 16384, [&](int64_t first, int64_t last) {
      FASTCV_ISA_CALL(lattice_splat<Acc>)
      (lattice_.entry.get(), begin.data(), vertex_from(first), vertex_from(last), labels, blocks_,
       lattice_.pixels * side_by_side, values_.get());
    });
  }

  const LatticeCpu<Acc>& lattice_;
  int blocks_;
  Buffer<Acc> values_, other_;
};

template <int d, typename Acc>
LatticeCpu<Acc> lattice_of(const at::Tensor& image, const CrfKernel& kernel) {
  const PixelFeatures<d, Acc> features(image.const_data_ptr<Acc>(), image.size(1), image.size(2),
                                       kernel.sxy, kernel.srgb);
  LatticeCpu<Acc> lattice = make_lattice<d, Acc>(features, static_cast<Acc>(kernel.weight));
  normalize(lattice);
  return lattice;
}

template <typename Acc>
LatticeCpu<Acc> lattice_of(const at::Tensor& image, const CrfKernel& kernel) {
  return with_dimensions(kernel.channels + 2,
                         [&](auto d) { return lattice_of<d, Acc>(image, kernel); });
}

// The compatibility's rows, or its columns, each padded to whole blocks; null where there is none.
template <typename Acc>
Buffer<Acc> padded_matrix(const std::optional<at::Tensor>& matrix, int blocks, bool columns) {
  if (!matrix) return nullptr;
  const int64_t labels = matrix->size(0), width = blocks * side_by_side;
  const at::Tensor dense = columns ? matrix->t().contiguous() : matrix->contiguous();
  Buffer<Acc> out(new Acc[labels * width]());
  for (int64_t l = 0; l < labels; ++l) {
    std::copy_n(dense.const_data_ptr<Acc>() + l * labels, labels, &out[l * width]);
  }
  return out;
}

// One image. Labels of all pixels lie in buffers [blocks, pixels, 16].
template <typename T>
class MeanField {
  using Acc = acc_t<T>;

 public:
  MeanField(const at::Tensor& unary, const at::Tensor& image,
            const std::optional<at::Tensor>& compatibility, const DenseCrfOptions& o)
      : unary_(unary.const_data_ptr<T>()),
        labels_(unary.size(0)),
        pixels_(unary.size(1) * unary.size(2)),
        blocks_(static_cast<int>(ceil_div(labels_, side_by_side))),
        missing_(blocks_ * side_by_side),
        columns_(padded_matrix<Acc>(compatibility, blocks_, true)),
        rows_(padded_matrix<Acc>(compatibility, blocks_, false)) {
    std::fill(missing_.begin() + labels_, missing_.end(), std::numeric_limits<Acc>::infinity());
    for (const CrfKernel& kernel : crf_kernels(o, image.size(0))) {
      lattices_.push_back(lattice_of<Acc>(image, kernel));
    }
    for (const auto& lattice : lattices_) filters_.emplace_back(lattice, blocks_);
  }

  int64_t size() const { return blocks_ * stride(); }
  Buffer<Acc> make_labels() const { return make_buffer_on_huge_pages<Acc>(size()); }

  // q = softmax(-unary), and with `before` the messages of that in it; q may be `before`.
  void step(const Acc* before, Acc* q) {
    if (before != nullptr) {
      for (auto& filter : filters_) filter.splat_and_blur(before, false);
    }
    for_each_tile([&](int64_t first, int64_t count, Acc* energy, Acc* message) {
      load(unary_, first, count, energy);
      if (before != nullptr && columns_ == nullptr) {
        // 1 - [l = m] is -[l = m] here: the probabilities' sum is the same for each label.
        for (const auto& filter : filters_) filter.collect(first, count, -1, energy);
      } else if (before != nullptr) {
        for (const auto& filter : filters_) filter.collect(first, count, 1, message);
        FASTCV_ISA_CALL(mix<Acc>)
        (message, columns_.get(), labels_, count, blocks_, tile_stride, energy);
      }
      FASTCV_ISA_CALL(softmin<Acc>)
      (energy, missing_.data(), count, blocks_, tile_stride, q + first * side_by_side, stride());
    });
  }

  // Of the step that gave q: the gradient by unary is added to grad_unary, and that by what the
  // messages sum is written over grad. `from_output`: grad is by q itself; otherwise it is what
  // this function left for the step after, whose messages summed q.
  void step_backward(const Acc* q, bool from_output, Acc* grad, Acc* grad_unary) {
    if (!from_output) {
      for (auto& filter : filters_) filter.splat_and_blur(grad, true);
    }
    const Acc sign = columns_ == nullptr ? -1 : 1;
    for_each_tile([&](int64_t first, int64_t count, Acc* by_energy, Acc* mixed) {
      Acc* at = grad + first * side_by_side;
      if (from_output) {
        copy(at, stride(), by_energy, tile_stride, count);
      } else {
        for (const auto& filter : filters_) filter.collect(first, count, sign, by_energy);
      }
      FASTCV_ISA_CALL(softmin_backward<Acc>)
      (q + first * side_by_side, stride(), count, blocks_, by_energy, tile_stride);
      for (int b = 0; b < blocks_; ++b) {
        Acc* out = grad_unary + b * stride() + first * side_by_side;
        for (int64_t i = 0; i < count * side_by_side; ++i) out[i] += by_energy[b * tile_stride + i];
      }
      if (rows_ != nullptr) {
        FASTCV_ISA_CALL(mix<Acc>)
        (by_energy, rows_.get(), labels_, count, blocks_, tile_stride, mixed);
      }
      copy(rows_ == nullptr ? by_energy : mixed, tile_stride, at, stride(), count);
    });
  }

  void read(const T* from, Acc* to) const {
    at::parallel_for(0, pixels_, 4096, [&](int64_t first, int64_t last) {
      for (int b = 0; b < blocks_; ++b) {
        FASTCV_ISA_CALL(interleave<T, Acc>)
        (from + b * side_by_side * pixels_ + first, pixels_, in_block(b), last - first,
         to + b * stride() + first * side_by_side);
      }
    });
  }
  void write(const Acc* from, T* to) const {
    at::parallel_for(0, pixels_, 4096, [&](int64_t first, int64_t last) {
      for (int b = 0; b < blocks_; ++b) {
        FASTCV_ISA_CALL(deinterleave<T, Acc>)
        (from + b * stride() + first * side_by_side, last - first, in_block(b), pixels_,
         to + b * side_by_side * pixels_ + first);
      }
    });
  }

 private:
  int64_t stride() const { return pixels_ * side_by_side; }
  int in_block(int b) const {
    return static_cast<int>(std::min<int64_t>(side_by_side, labels_ - b * side_by_side));
  }

  void load(const T* from, int64_t first, int64_t count, Acc* tile) const {
    for (int b = 0; b < blocks_; ++b) {
      FASTCV_ISA_CALL(interleave<T, Acc>)
      (from + b * side_by_side * pixels_ + first, pixels_, in_block(b), count,
       tile + b * tile_stride);
    }
  }
  void copy(const Acc* from, int64_t from_stride, Acc* to, int64_t to_stride, int64_t count) const {
    for (int b = 0; b < blocks_; ++b) {
      std::copy_n(from + b * from_stride, count * side_by_side, to + b * to_stride);
    }
  }

  // f(first pixel, count, two tiles [blocks, 64, 16] of zeros), on all threads.
  template <typename F>
  void for_each_tile(F f) const {
    const int64_t tiles = ceil_div(pixels_, tile_pixels);
    at::parallel_for(0, tiles, 8, [&](int64_t begin, int64_t end) {
      const int64_t size = blocks_ * tile_stride;
      const Buffer<Acc> scratch(new Acc[2 * size]);
      for (int64_t t = begin; t < end; ++t) {
        const int64_t first = t * tile_pixels;
        std::fill_n(scratch.get(), 2 * size, Acc(0));
        f(first, std::min(tile_pixels, pixels_ - first), scratch.get(), scratch.get() + size);
      }
    });
  }

  const T* unary_;
  int64_t labels_, pixels_;
  int blocks_;
  std::vector<Acc> missing_;  // infinity for labels that do not exist
  Buffer<Acc> columns_, rows_;
  std::vector<LatticeCpu<Acc>> lattices_;
  std::vector<LatticeFilter<Acc>> filters_;
};

at::Tensor dense_crf_cpu(const at::Tensor& unary, const at::Tensor& image,
                         const std::optional<at::Tensor>& compatibility, int64_t iterations,
                         double gaussian_sxy, double gaussian_weight, double bilateral_sxy,
                         double bilateral_srgb, double bilateral_weight) {
  const DenseCrfOptions o{iterations,    gaussian_sxy,   gaussian_weight,
                          bilateral_sxy, bilateral_srgb, bilateral_weight};
  check_dense_crf(unary, image, compatibility, o);
  const at::Tensor q = at::empty(unary.sizes(), unary.options());
  if (q.numel() == 0) return q;
  const at::Tensor energies = unary.contiguous(), levels = image.contiguous();
  dispatch_floating(unary.scalar_type(), "dense_crf", "unary", [&]<typename T>() {
    for (int64_t b = 0; b < q.size(0); ++b) {
      MeanField<T> field(energies[b], levels[b], compatibility, o);
      const auto labels = field.make_labels();
      field.step(nullptr, labels.get());
      for (int64_t t = 0; t < iterations; ++t) field.step(labels.get(), labels.get());
      field.write(labels.get(), q[b].template mutable_data_ptr<T>());
    }
  });
  return q;
}

at::Tensor dense_crf_backward_cpu(const at::Tensor& grad, const at::Tensor& unary,
                                  const at::Tensor& image,
                                  const std::optional<at::Tensor>& compatibility,
                                  int64_t iterations, double gaussian_sxy, double gaussian_weight,
                                  double bilateral_sxy, double bilateral_srgb,
                                  double bilateral_weight) {
  const DenseCrfOptions o{iterations,    gaussian_sxy,   gaussian_weight,
                          bilateral_sxy, bilateral_srgb, bilateral_weight};
  check_dense_crf_backward(grad, unary, image, compatibility, o);
  const at::Tensor grad_unary = at::empty(unary.sizes(), unary.options());
  if (grad_unary.numel() == 0) return grad_unary;
  const at::Tensor energies = unary.contiguous(), levels = image.contiguous();
  const at::Tensor grads = grad.contiguous();
  dispatch_floating(unary.scalar_type(), "dense_crf", "unary", [&]<typename T>() {
    using Acc = acc_t<T>;
    for (int64_t b = 0; b < grad.size(0); ++b) {
      MeanField<T> field(energies[b], levels[b], compatibility, o);
      std::vector<Buffer<Acc>> q;  // of every step
      for (int64_t t = 0; t <= iterations; ++t) {
        q.push_back(field.make_labels());
        field.step(t == 0 ? nullptr : q[t - 1].get(), q[t].get());
      }
      const auto running = field.make_labels(), sum = field.make_labels();
      std::fill_n(sum.get(), field.size(), Acc(0));
      field.read(grads[b].template const_data_ptr<T>(), running.get());
      for (int64_t t = iterations; t >= 0; --t) {
        field.step_backward(q[t].get(), t == iterations, running.get(), sum.get());
        q.pop_back();
      }
      field.write(sum.get(), grad_unary[b].template mutable_data_ptr<T>());
    }
  });
  return grad_unary;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("dense_crf", dense_crf_cpu);
  m.impl("_dense_crf_backward", dense_crf_backward_cpu);
}

}  // namespace fastcv
