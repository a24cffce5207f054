// Position-sensitive pooling on the CPU: bin (i, j) of output channel c reads channel
// (c * pooled_height + i) * pooled_width + j.
#pragma once

#include "common/roi_cpu.h"

namespace fastcv {

// NCHW: a plane of the map a job, for a plane stays in the cache while all RoIs read their bin of
// it.
template <typename T>
void pool_planes(const at::Tensor& input, const RoiPlan<acc_t<T>>& plan, const RoiShape& s,
                 const at::Tensor& output) {
  constexpr int64_t most = int64_t{1} << 19;
  const int64_t bytes = s.pixels() * int64_t{sizeof(T)};
  at::parallel_for(0, s.batch * s.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t image = plane / s.channels, channel = plane % s.channels;
      const int j = static_cast<int>(channel % s.pooled_width);
      const int i = static_cast<int>(channel / s.pooled_width % s.pooled_height);
      const T* in = input.const_data_ptr<T>() + plane * s.pixels();
      T* out = output.mutable_data_ptr<T>() + channel / s.bins() * output.stride(1) +
               i * output.stride(2) + j * output.stride(3);
      const auto rois = of_image(plan.rois(), image);
      // Read in order, a plane comes faster than bin by bin.
      if (bytes <= most && std::ssize(rois) * 512 >= bytes) {
        for (int64_t b = 0; b < bytes; b += 64) {
          __builtin_prefetch(reinterpret_cast<const char*>(in) + b);
        }
      }
      for (const OrderedRoi& roi : rois) {
        out[roi.index * output.stride(0)] =
            static_cast<T>(bin_mean(in, s.width, 1, plan.taps(roi), i, j));
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
        pool_planes<T>(source, plan, s, output);
      } else {
        pool_plain<T>(source, plan, output, [&](int64_t c, int i, int j) {
          return (c * s.pooled_height + i) * s.pooled_width + j;
        });
      }
    }
  });
  return output;
}

// A band of rows of one channel a job, RoIs in their order.
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
      at::parallel_for(0, s.batch * s.channels * bands, 1, [&](int64_t begin, int64_t end) {
        const auto buffer = make_buffer<Acc>(in_place ? 0 : band * s.width);
        for (int64_t job = begin; job < end; ++job) {
          const int64_t top = job % bands * band, bottom = std::min(top + band, s.height);
          const int64_t plane = job / bands, channel = plane % s.channels;
          const int64_t n = (bottom - top) * s.width;
          const int j = static_cast<int>(channel % s.pooled_width);
          const int i = static_cast<int>(channel / s.pooled_width % s.pooled_height);
          T* out = grad_input.mutable_data_ptr<T>() + plane * s.pixels() + top * s.width;
          Acc* sums = buffer.get();
          if constexpr (in_place) sums = out;
          if (first) {
            std::fill_n(sums, n, Acc(0));
          } else if constexpr (!in_place) {
            std::copy_n(out, n, sums);
          }
          for (const OrderedRoi& roi : of_image(plan.rois(), plane / s.channels)) {
            if (roi.bottom <= top || roi.top >= bottom) continue;
            const RoiTaps<Acc> taps = plan.taps(roi);
            const Acc g =
                taps.per_sample *
                static_cast<Acc>(grad.const_data_ptr<T>()[roi.index * grad.stride(0) +
                                                          channel / s.bins() * grad.stride(1) +
                                                          i * grad.stride(2) + j * grad.stride(3)]);
            for (const auto* row = taps.row(i); row != taps.row(i + 1); ++row) {
              if (row->pixel < top || row->pixel >= bottom) continue;
              Acc* line = sums + (row->pixel - top) * s.width;
              for (const auto* c = taps.column(j); c != taps.column(j + 1); ++c) {
                const Acc weight = row->weight * c->weight;
                if (weight != 0) line[c->pixel] += weight * g;
              }
            }
          }
          if constexpr (!in_place) FASTCV_ISA_CALL(round_to<T, Acc>)(sums, n, out);
        }
      });
      k = plan.end();
    } while (k < boxes.count);
  });
  return grad_input.contiguous(grad.suggest_memory_format());
}

}  // namespace fastcv
