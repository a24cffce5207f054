// Pools and scatters one rotated RoI for channels that lie side by side in memory. The samples of a
// bin are worked out once, as many as `taps` holds at a time, and then used for every channel.
namespace fastcv::FASTCV_ISA {

// Calls use(taps, count) with the samples of bin (ph, pw), four taps each, until all had their
// turn.
template <typename Acc, typename Use>
inline void for_taps_of_bin(const RotatedRoi<Acc>& roi, int ph, int pw, int height, int width,
                            int64_t row_stride, int64_t pixel_stride, Use use) {
  PixelTap<Acc> taps[256];
  int count = 0;
  const Acc radius = image_radius<Acc>(height, width);
  const Point<Acc> centre = roi.in_frame(Acc(width - 1) / 2, Acc(height - 1) / 2);
  const Range vs = roi.rows_near(ph, centre, radius), us = roi.columns_near(pw, centre, radius);
  for (int iv = vs.begin; iv < vs.end; ++iv) {
    const Acc v = roi.rows.position(ph, iv);
    for (int iu = us.begin; iu < us.end; ++iu) {
      const Point<Acc> p = roi.in_image(roi.columns.position(pw, iu), v);
      const AxisSample<Acc> y = axis_sample(p.y, height), x = axis_sample(p.x, width);
      if ((y.low_weight == 0 && y.high_weight == 0) || (x.low_weight == 0 && x.high_weight == 0)) {
        continue;  // outside
      }
      const int64_t low = y.low * row_stride, high = y.high * row_stride;
      const int64_t left = x.low * pixel_stride, right = x.high * pixel_stride;
      taps[count++] = {low + left, y.low, y.low_weight * x.low_weight};
      taps[count++] = {low + right, y.low, y.low_weight * x.high_weight};
      taps[count++] = {high + left, y.high, y.high_weight * x.low_weight};
      taps[count++] = {high + right, y.high, y.high_weight * x.high_weight};
      if (count == 256) {
        use(taps, count);
        count = 0;
      }
    }
  }
  if (count > 0) use(taps, count);
}

// Bins of `channels` channels, a multiple of lanes<Acc>, into out + bin * out_stride; `sums` has
// room for the channels.
template <typename Acc, typename In, typename Out>
void pool_rotated(const In* pixels, int64_t row_stride, int64_t pixel_stride, int64_t channels,
                  const RotatedRoi<Acc>& roi, int height, int width, Acc* sums, Out* out,
                  int64_t out_stride) {
  for (int ph = 0; ph < roi.rows.pooled; ++ph) {
    for (int pw = 0; pw < roi.columns.pooled; ++pw, out += out_stride) {
      std::fill_n(sums, channels, Acc(0));
      for_taps_of_bin(roi, ph, pw, height, width, row_stride, pixel_stride,
                      [&](const PixelTap<Acc>* taps, int count) {
                        for (int64_t c = 0; c < channels; c += lanes<Acc>) {
                          vec<Acc> sum = load<Acc>(sums + c);
                          for (int t = 0; t < count; ++t) {
                            sum = madd(broadcast(taps[t].weight),
                                       load<Acc>(pixels + taps[t].offset + c), sum);
                          }
                          store<Acc>(sums + c, sum);
                        }
                      });
      for (int64_t c = 0; c < channels; c += lanes<Acc>) {
        store<Acc>(out + c, load<Acc>(sums + c) * broadcast(roi.per_sample));
      }
    }
  }
}

// Adds what the bins give to the rows [top, bottom) of the image; `pixels` begins at row `top`.
template <typename Acc, typename In>
void scatter_rotated(const In* grad, int64_t grad_stride, int64_t channels,
                     const RotatedRoi<Acc>& roi, int height, int width, int64_t top, int64_t bottom,
                     Acc* pixels, int64_t row_stride, int64_t pixel_stride) {
  for (int ph = 0; ph < roi.rows.pooled; ++ph) {
    for (int pw = 0; pw < roi.columns.pooled; ++pw, grad += grad_stride) {
      for_taps_of_bin(roi, ph, pw, height, width, row_stride, pixel_stride,
                      [&](const PixelTap<Acc>* taps, int count) {
                        for (int t = 0; t < count; ++t) {
                          if (taps[t].row < top || taps[t].row >= bottom) continue;
                          const Acc w = taps[t].weight * roi.per_sample;
                          if (w == 0) continue;
                          Acc* p = pixels + (taps[t].offset - top * row_stride);
                          for (int64_t c = 0; c < channels; c += lanes<Acc>) {
                            store<Acc>(p + c,
                                       madd(broadcast(w), load<Acc>(grad + c), load<Acc>(p + c)));
                          }
                        }
                      });
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
