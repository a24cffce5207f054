// Position-sensitive pooling on the CPU: bin (i, j) of output channel c reads channel
// (c * pooled_height + i) * pooled_width + j.
#pragma once

#include <span>
#include <vector>

#include "common/host/ceil_div.h"
#include "common/roi/roi_cpu.h"

namespace fastcv {

// What bin (i, j) of the RoIs takes from an image, pixel after pixel.
template <typename T>
struct BinTaps {
  struct Bin {
    const OrderedRoi* roi;
    int64_t begin, end;  // of its taps
    bool listed;         // false: too many taps; from the plan, then
    T divisor;
  };
  int i, j;
  std::span<const Bin> bins;
  const Tap<T>* taps;  // `pixel` counts from the image's first
};

// Those of every image and bin, worked out once for all the planes that have it; 32 MiB at most.
template <typename T>
class AllBinTaps {
 public:
  using Bin = typename BinTaps<T>::Bin;

  AllBinTaps(const RoiPlan<T>& plan, const RoiShape& s) : bins_of_a_roi_(s.bins()) {
    constexpr int64_t max_taps = (int64_t{32} << 20) / int64_t{sizeof(Tap<T>)};
    bins_.reserve(plan.rois().size() * s.bins());
    int64_t count = 0;
    for (int64_t n = 0; n < s.batch * s.bins(); ++n) {
      const int i = static_cast<int>(n % s.bins() / s.pooled_width);
      const int j = static_cast<int>(n % s.pooled_width);
      const size_t first = bins_.size();
      for (const OrderedRoi& roi : of_image(plan.rois(), n / s.bins())) {
        const RoiTaps<T> of = plan.taps(roi);
        const bool listed = count + of.count(i, j) <= max_taps;
        const int64_t end = listed ? count + of.count(i, j) : count;
        bins_.push_back({&roi, count, end, listed, of.divisor(i, j)});
        count = end;
      }
      lists_.push_back({i, j, {bins_.data() + first, bins_.size() - first}, nullptr});
    }
    taps_ = make_buffer<Tap<T>>(count);
    at::parallel_for(0, std::ssize(lists_), 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        lists_[n].taps = taps_.get();
        for (const Bin& bin : lists_[n].bins) {
          if (bin.listed) list(plan.taps(*bin.roi), lists_[n], s.width, taps_.get() + bin.begin);
        }
      }
    });
  }

  const BinTaps<T>& of(int64_t image, int64_t channel) const {
    return lists_[image * bins_of_a_roi_ + channel % bins_of_a_roi_];
  }

 private:
  static void list(const RoiTaps<T>& of, const BinTaps<T>& bin, int64_t width, Tap<T>* tap) {
    for (auto* row = of.row(bin.i); row != of.row(bin.i + 1); ++row) {
      for (auto* column = of.column(bin.j); column != of.column(bin.j + 1); ++column) {
        *tap++ = {static_cast<int32_t>(row->pixel * width + column->pixel),
                  row->weight * column->weight};
      }
    }
  }

  int64_t bins_of_a_roi_;
  std::vector<BinTaps<T>> lists_;  // image by image
  std::vector<Bin> bins_;
  Buffer<Tap<T>> taps_;
};

// NCHW: a plane of the map a job, for a plane stays in the cache while all RoIs read their bin of
// it.
template <typename T>
void pool_planes(const T* input, const RoiPlan<acc_t<T>>& plan, const RoiShape& s,
                 const at::Tensor& output) {
  using Acc = acc_t<T>;
  const AllBinTaps<Acc> lists(plan, s);
  const int64_t bytes = s.pixels() * int64_t{sizeof(T)}, roi_stride = output.stride(0);
  at::parallel_for(0, s.batch * s.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t channel = plane % s.channels;
      const BinTaps<Acc>& list = lists.of(plane / s.channels, channel);
      const T* in = input + plane * s.pixels();
      T* out = output.mutable_data_ptr<T>() + channel / s.bins() * output.stride(1) +
               list.i * output.stride(2) + list.j * output.stride(3);
      // While this plane is read bin by bin, the next comes into the cache in order: faster by 2.
      const auto* next = reinterpret_cast<const char*>(plane + 1 < end ? in + s.pixels() : in);
      const int64_t share = bytes / std::max<int64_t>(std::ssize(list.bins), 1) + 1;
      const int64_t ahead = bytes <= int64_t{1} << 19 && share <= 512 ? share : 0;
      for (const auto& bin : list.bins) {
        Acc sum = 0;
        for (int64_t t = bin.begin; t < bin.end; ++t) {
          sum += list.taps[t].weight * static_cast<Acc>(in[list.taps[t].pixel]);
        }
        sum = bin.listed ? sum / bin.divisor
                         : bin_mean(in, s.width, 1, plan.taps(*bin.roi), list.i, list.j);
        out[bin.roi->index * roi_stride] = static_cast<T>(sum);
        for (const char* stop = next + ahead; next < stop; next += 64) __builtin_prefetch(next);
      }
    }
  });
}

// plan_from(rois, begin) plans RoIs from `begin` on.
template <typename PlanFrom>
at::Tensor pool_position_sensitive(const char* op, const at::Tensor& input, const at::Tensor& rois,
                                   const RoiShape& s, PlanFrom plan_from) {
  const at::Tensor output = empty_on_huge_pages(
      input, {rois.size(0), s.channels / s.bins(), s.pooled_height, s.pooled_width});
  dispatch_floating(input.scalar_type(), op, "input", [&]<typename T>() {
    const Rois<acc_t<T>> boxes(op, rois, s.batch);
    if (output.numel() == 0) return;
    // Few RoIs read few pixels: not worth a copy, nor a walk over all planes.
    const bool planes = !is_channels_last(input) && boxes.count >= 4 * s.batch;
    const at::Tensor source = planes ? input.contiguous() : input;
    for (int64_t k = 0; k < boxes.count;) {
      const RoiPlan<acc_t<T>> plan = plan_from(boxes, k);
      k = plan.end();
      if (planes) {
        pool_planes(source.const_data_ptr<T>(), plan, s, output);
      } else {
        pool_plain<T>(source, plan, output, [&](int64_t c, int i, int j) {
          return (c * s.pooled_height + i) * s.pooled_width + j;
        });
      }
    }
  });
  return output;
}

// Adds g to what bin (i, j) read in rows [top, bottom), which begin at `pixels`.
template <typename Acc>
void scatter_bin(const RoiTaps<Acc>& taps, int i, int j, int64_t width, int64_t top, int64_t bottom,
                 Acc g, Acc* pixels) {
  for (const auto* row = taps.row(i); row != taps.row(i + 1); ++row) {
    if (row->pixel < top || row->pixel >= bottom) continue;
    Acc* line = pixels + (row->pixel - top) * width;
    for (const auto* c = taps.column(j); c != taps.column(j + 1); ++c) {
      const Acc weight = row->weight * c->weight;
      if (weight != 0) line[c->pixel] += weight * g;
    }
  }
}

// A band of rows of one plane a job, RoIs in their order. Bands where sums need a buffer.
template <typename PlanFrom>
at::Tensor scatter_position_sensitive(const char* op, const at::Tensor& grad,
                                      const at::Tensor& rois, const RoiShape& s,
                                      PlanFrom plan_from) {
  const at::Tensor grad_input = at::empty({s.batch, s.channels, s.height, s.width}, grad.options());
  advise_huge_pages(grad_input);
  dispatch_floating(grad.scalar_type(), op, "grad", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes(op, rois, s.batch);
    if (grad_input.numel() == 0) return;
    constexpr bool in_place = std::is_same_v<T, Acc>;
    const int64_t roi_stride = grad.stride(0);
    const int64_t max_band =
        in_place ? s.height
                 : std::max<int64_t>(1, roi_buffer_bytes / (s.width * int64_t{sizeof(Acc)}));
    const int64_t band = std::min(max_band, s.height), bands = ceil_div(s.height, band);
    int64_t k = 0;
    do {
      const bool first = k == 0;
      const RoiPlan<Acc> plan = plan_from(boxes, k);
      const AllBinTaps<Acc> lists(plan, s);
      at::parallel_for(0, s.batch * s.channels * bands, 1, [&](int64_t begin, int64_t end) {
        const auto buffer = make_buffer<Acc>(in_place ? 0 : band * s.width);
        for (int64_t job = begin; job < end; ++job) {
          const int64_t plane = job / bands, channel = plane % s.channels;
          const int64_t top = job % bands * band, bottom = std::min(top + band, s.height);
          const int64_t first_pixel = top * s.width, pixels = (bottom - top) * s.width;
          T* out = grad_input.mutable_data_ptr<T>() + plane * s.pixels() + first_pixel;
          Acc* sums = buffer.get();
          if constexpr (in_place) sums = out;
          if (first) {
            std::fill_n(sums, pixels, Acc(0));
          } else if constexpr (!in_place) {
            std::copy_n(out, pixels, sums);
          }
          const BinTaps<Acc>& list = lists.of(plane / s.channels, channel);
          const T* from = grad.const_data_ptr<T>() + channel / s.bins() * grad.stride(1) +
                          list.i * grad.stride(2) + list.j * grad.stride(3);
          for (const auto& bin : list.bins) {
            const Acc g = static_cast<Acc>(from[bin.roi->index * roi_stride]) / bin.divisor;
            for (int64_t t = bin.begin; t < bin.end; ++t) {
              const Tap<Acc> tap = list.taps[t];
              const auto pixel = static_cast<uint64_t>(tap.pixel - first_pixel);
              if (pixel < static_cast<uint64_t>(pixels) && tap.weight != 0) {
                sums[pixel] += tap.weight * g;
              }
            }
            if (!bin.listed) {
              scatter_bin(plan.taps(*bin.roi), list.i, list.j, s.width, top, bottom, g, sums);
            }
          }
          if constexpr (!in_place) FASTCV_ISA_CALL(round_to<T, Acc>)(sums, pixels, out);
        }
      });
      k = plan.end();
    } while (k < boxes.count);
  });
  return grad_input.contiguous(grad.suggest_memory_format());
}

}  // namespace fastcv
