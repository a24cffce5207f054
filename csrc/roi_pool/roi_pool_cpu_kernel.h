// The maxima of one RoI for channels that lie side by side in memory.
namespace fastcv::FASTCV_ISA {

// Integers as wide as the floats, so that one comparison steers both.
template <typename Acc>
using IndexOf = std::conditional_t<sizeof(Acc) == 4, int32_t, int64_t>;

// rows and columns are the windows of the bins; out and argmax get bin b at b * out_stride. A
// multiple of lanes<Acc> channels, of pixels whose dtype has `lowest`.
template <typename Acc, typename In, typename Out>
void max_roi(const In* pixels, int64_t row_stride, int64_t pixel_stride, int64_t channels,
             const Range* rows, int pooled_height, const Range* columns, int pooled_width,
             int64_t width, Acc lowest, Out* out, int32_t* argmax, int64_t out_stride) {
  constexpr int n = lanes<Acc>;
  using Index = IndexOf<Acc>;
  for (int i = 0; i < pooled_height; ++i) {
    for (int j = 0; j < pooled_width; ++j, out += out_stride, argmax += out_stride) {
      const bool empty = rows[i].begin >= rows[i].end || columns[j].begin >= columns[j].end;
      for (int64_t c = 0; c < channels; c += n) {
        vec<Acc> best = broadcast(empty ? Acc(0) : lowest);
        vec<Index> at = broadcast(Index(-1));
        for (int y = rows[i].begin; y < rows[i].end; ++y) {
          const In* p = pixels + y * row_stride + c;
          for (int x = columns[j].begin; x < columns[j].end; ++x) {
            const vec<Acc> v = load<Acc>(p + x * pixel_stride);
            const vec<Index> larger = v > best;
            best = larger ? v : best;
            at = larger ? broadcast(static_cast<Index>(y * width + x)) : at;
          }
        }
        store<Acc>(out + c, best);
        for (int k = 0; k < n; ++k) argmax[c + k] = static_cast<int32_t>(at[k]);
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
