// The images with their channels side by side, so that a sample reads whole vectors. Included after
// common/cpu/foreach_isa.h.
#pragma once

#include "common/host/ceil_div.h"
#include "deform_conv2d/deform_conv2d_cpu.h"

namespace fastcv {

// channels_last images are read as they lie. Of others a few at a time are laid out in a buffer; an
// image too large for that is read plane by plane.
template <typename T>
struct Images {
  const DeformShape& s;
  at::Tensor source;
  bool last, fits;
  int64_t at_once, begin = 0;
  Buffer<T> buffer;

  Images(const DeformShape& s, const at::Tensor& input)
      : s(s),
        source(input.contiguous(input.suggest_memory_format())),
        last(is_channels_last(source)) {
    const int64_t bytes = s.pixels() * s.channels * int64_t{sizeof(T)};
    fits = bytes <= image_bytes;
    at_once = last || bytes == 0 ? std::max<int64_t>(s.batch, 1)
              : fits             ? std::min(std::max<int64_t>(s.batch, 1), image_bytes / bytes)
                                 : 1;
    if (!last && fits) buffer = make_buffer<T>(at_once * s.pixels() * s.channels);
  }

  // Images [first, end) can be viewed from here on.
  void lay_out(int64_t first, int64_t end) {
    begin = first;
    if (last || !fits) return;
    constexpr int64_t step = 64;  // pixels of a job
    const int64_t pixels = s.pixels(), jobs = ceil_div(pixels, step);
    at::parallel_for(0, (end - first) * jobs, 1, [&](int64_t b, int64_t e) {
      for (int64_t job = b; job < e; ++job) {
        const int64_t n = job / jobs, i = job % jobs * step;
        FASTCV_ISA_CALL(transpose_into<acc_t<T>, T, T>)(
            source.template const_data_ptr<T>() + (first + n) * pixels * s.channels + i, pixels,
            s.channels, std::min(step, pixels - i), buffer.get() + (n * pixels + i) * s.channels,
            s.channels);
      }
    });
  }

  PixelView<T> view(int64_t n) const {
    const int64_t size = s.pixels() * s.channels;
    const T* data = source.template const_data_ptr<T>() + n * size;
    if (last) return {data, s.channels, 1};
    if (!fits) return {data, 1, s.pixels()};
    return {buffer.get() + (n - begin) * size, s.channels, 1};
  }
};

}  // namespace fastcv
