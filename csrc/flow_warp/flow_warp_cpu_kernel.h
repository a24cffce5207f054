// A pixel's channels side by side: a corner is a vector, whichever way the flow points.
namespace fastcv::FASTCV_ISA {

// `channels` is a multiple of 16. From -0, so that a sum of one pixel is that pixel.
template <typename Acc, typename In, typename Out>
void warp_pixels(const Sample<Acc>* samples, int64_t count, const In* pixels, int64_t channels,
                 Out* out) {
  for (int64_t p = 0; p < count; ++p, out += channels) {
    const Sample<Acc>& s = samples[p];
    if (s.outside()) {
      for (int64_t c = 0; c < channels; c += lanes<Acc>) store<Acc>(out + c, vec<Acc>{});
      continue;
    }
    for (int64_t c = 0; c < channels; c += lanes<Acc>) {
      vec<Acc> sum = broadcast(Acc(-0.0));
      for (int k = 0; k < 4; ++k) {
        if (s.weight[k] == 0) continue;
        const vec<Acc> x = load<Acc>(pixels + s.pixel[k] * channels + c);
        sum = madd(broadcast(s.weight[k]), x, sum);
      }
      store<Acc>(out + c, sum);
    }
  }
}

// The same of one channel where it lies, from pixel to pixel `stride` apart.
template <typename Acc, typename T>
void warp_plane(const Sample<Acc>* samples, int64_t count, const T* plane, int64_t stride, T* out) {
  for (int64_t p = 0; p < count; ++p, out += stride) {
    const Sample<Acc>& s = samples[p];
    if (s.outside()) {
      *out = static_cast<T>(Acc(0));
      continue;
    }
    Acc sum = Acc(-0.0);
    for (int k = 0; k < 4; ++k) {
      if (s.weight[k] != 0)
        sum = madd(s.weight[k], static_cast<Acc>(plane[s.pixel[k] * stride]), sum);
    }
    *out = static_cast<T>(sum);
  }
}

template <typename Acc>
Acc sum_of_16(const Acc* a, const Acc* b) {
  vec<Acc> sum = {};
  for (int c = 0; c < block_channels; c += lanes<Acc>) {
    sum = madd(load<Acc>(a + c), load<Acc>(b + c), sum);
  }
  Acc all = 0;
  for (int i = 0; i < lanes<Acc>; ++i) all += sum[i];
  return all;
}

// Of 16 channels or of one. Adds each pixel's gradient to the input's, and its products with the
// corners to `dots`, four a pixel; either may be null.
template <int channels, typename Acc>
void unwarp_pixels(const Sample<Acc>* samples, int64_t count, const Acc* grad, const Acc* pixels,
                   Acc* grad_pixels, Acc* dots) {
  for (int64_t p = 0; p < count; ++p, grad += channels) {
    const Sample<Acc>& s = samples[p];
    if (s.outside()) continue;
    for (int k = 0; k < 4; ++k) {
      const int64_t at = int64_t{s.pixel[k]} * channels;
      if (dots != nullptr) {
        if constexpr (channels == 1) {
          dots[p * 4 + k] += *grad * pixels[at];
        } else {
          dots[p * 4 + k] += sum_of_16(grad, pixels + at);
        }
      }
      if (grad_pixels == nullptr || s.weight[k] == 0) continue;
      if constexpr (channels == 1) {
        grad_pixels[at] = madd(s.weight[k], *grad, grad_pixels[at]);
      } else {
        for (int c = 0; c < block_channels; c += lanes<Acc>) {
          Acc* to = grad_pixels + at + c;
          store<Acc>(to, madd(broadcast(s.weight[k]), load<Acc>(grad + c), load<Acc>(to)));
        }
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
