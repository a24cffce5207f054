// Position-sensitive pooling on the CPU: bin (i, j) of output channel c reads channel
// (c * pooled_height + i) * pooled_width + j.
#pragma once

#include <vector>

#include "common/roi_cpu.h"

namespace fastcv {

// A plane of the map is one job, for it stays in the cache while all RoIs read their bin of it.
// Planes of the same bin come one after the other.
struct PlaneJob {
  int64_t image, c, channel;
  int i, j;

  PlaneJob(int64_t plane, const RoiShape& s) {
    const int64_t out_channels = s.channels / s.bins(), bin = plane % s.channels / out_channels;
    image = plane / s.channels;
    c = plane % out_channels;
    channel = c * s.bins() + bin;
    i = static_cast<int>(bin / s.pooled_width);
    j = static_cast<int>(bin % s.pooled_width);
  }
  int64_t first_pixel(const RoiShape& s) const {
    return (image * s.channels + channel) * s.pixels();
  }
};

// What one bin of the RoIs takes from an image, pixel after pixel: worked out once for all the
// planes that have it.
template <typename T>
struct BinTaps {
  struct Bin {
    const OrderedRoi* roi;
    int64_t end;  // of its taps
    bool listed;  // false: too many taps; from the plan, then
    T divisor;
  };
  static constexpr int64_t most = int64_t{1} << 20;

  std::vector<Tap<T>> taps;  // `pixel` counts from the first of row `top`
  std::vector<Bin> bins;

  void gather(const RoiPlan<T>& plan, std::span<const OrderedRoi> rois, int i, int j, int64_t width,
              int64_t top, int64_t bottom) {
    taps.clear();
    bins.clear();
    for (const OrderedRoi& roi : rois) {
      if (roi.bottom <= top || roi.top >= bottom) {
        bins.push_back({&roi, std::ssize(taps), true, 1});
        continue;
      }
      const RoiTaps<T> of = plan.taps(roi);
      const bool listed = std::ssize(taps) + of.count(i, j) <= most;
      for (auto* row = of.row(i); listed && row != of.row(i + 1); ++row) {
        if (row->pixel < top || row->pixel >= bottom) continue;
        for (auto* column = of.column(j); column != of.column(j + 1); ++column) {
          taps.push_back({static_cast<int32_t>((row->pixel - top) * width + column->pixel),
                          row->weight * column->weight});
        }
      }
      bins.push_back({&roi, std::ssize(taps), listed, of.divisor(i, j)});
    }
  }
};

template <typename T>
void pool_planes(const T* input, const RoiPlan<acc_t<T>>& plan, const RoiShape& s,
                 const at::Tensor& output) {
  using Acc = acc_t<T>;
  const int64_t bytes = s.pixels() * int64_t{sizeof(T)};
  at::parallel_for(0, s.batch * s.channels, 1, [&](int64_t begin, int64_t end) {
    BinTaps<Acc> list;
    for (int64_t plane = begin; plane < end; ++plane) {
      const PlaneJob job(plane, s);
      if (plane == begin || job.c == 0) {
        list.gather(plan, of_image(plan.rois(), job.image), job.i, job.j, s.width, 0, s.height);
      }
      const T* in = input + job.first_pixel(s);
      T* out = output.mutable_data_ptr<T>() + job.c * output.stride(1) + job.i * output.stride(2) +
               job.j * output.stride(3);
      // While this plane is read bin by bin, the next comes into the cache in order: faster by 2.
      const auto* next = reinterpret_cast<const char*>(
          input + PlaneJob(std::min(plane + 1, end - 1), s).first_pixel(s));
      const int64_t share = bytes / std::max<int64_t>(std::ssize(list.bins), 1) + 1;
      const int64_t ahead = bytes <= int64_t{1} << 19 && share <= 512 ? share : 0;
      const Tap<Acc>* tap = list.taps.data();
      for (const auto& bin : list.bins) {
        Acc sum = 0;
        for (const auto* last = list.taps.data() + bin.end; tap != last; ++tap) {
          sum += tap->weight * static_cast<Acc>(in[tap->pixel]);
        }
        sum = bin.listed ? sum / bin.divisor
                         : bin_mean(in, s.width, 1, plan.taps(*bin.roi), job.i, job.j);
        out[bin.roi->index * output.stride(0)] = static_cast<T>(sum);
        for (const char* stop = next + ahead; next < stop; next += 64) __builtin_prefetch(next);
      }
    }
  });
}

// plan_from(rois, begin) plans RoIs from `begin` on.
template <typename PlanFrom>
at::Tensor pool_position_sensitive(const char* op, const at::Tensor& input, const at::Tensor& rois,
                                   const RoiShape& s, PlanFrom plan_from) {
  const at::Tensor output = empty_in_format_of(
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

// A band of rows of one plane a job, RoIs in their order.
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
    const int64_t most = std::max<int64_t>(1, roi_buffer_bytes / (s.width * int64_t{sizeof(Acc)}));
    const int64_t band = std::min(most, s.height), bands = (s.height + band - 1) / band;
    constexpr bool in_place = std::is_same_v<T, Acc>;
    int64_t k = 0;
    do {
      const bool first = k == 0;
      const RoiPlan<Acc> plan = plan_from(boxes, k);
      at::parallel_for(0, bands * s.batch * s.channels, 1, [&](int64_t begin, int64_t end) {
        const auto buffer = make_buffer<Acc>(in_place ? 0 : band * s.width);
        BinTaps<Acc> list;
        for (int64_t n = begin; n < end; ++n) {
          const PlaneJob job(n % (s.batch * s.channels), s);
          const int64_t top = n / (s.batch * s.channels) * band;
          const int64_t bottom = std::min(top + band, s.height), pixels = (bottom - top) * s.width;
          if (n == begin || job.c == 0) {
            list.gather(plan, of_image(plan.rois(), job.image), job.i, job.j, s.width, top, bottom);
          }
          T* out = grad_input.mutable_data_ptr<T>() + job.first_pixel(s) + top * s.width;
          Acc* sums = buffer.get();
          if constexpr (in_place) sums = out;
          if (first) {
            std::fill_n(sums, pixels, Acc(0));
          } else if constexpr (!in_place) {
            std::copy_n(out, pixels, sums);
          }
          const T* from = grad.const_data_ptr<T>() + job.c * grad.stride(1) +
                          job.i * grad.stride(2) + job.j * grad.stride(3);
          const Tap<Acc>* tap = list.taps.data();
          for (const auto& bin : list.bins) {
            const Acc g = static_cast<Acc>(from[bin.roi->index * grad.stride(0)]) / bin.divisor;
            for (const auto* last = list.taps.data() + bin.end; tap != last; ++tap) {
              if (tap->weight != 0) sums[tap->pixel] += tap->weight * g;
            }
            if (!bin.listed) {
              scatter_bin(plan.taps(*bin.roi), job.i, job.j, s.width, top, bottom, g, sums);
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
