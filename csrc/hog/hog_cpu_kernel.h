namespace fastcv::FASTCV_ISA {

// The gradients of a row of an image's channel where they are longer than what is there: dx, dy,
// and their length squared. `above` and `below` are the rows beside it; the same row at the border.
template <typename Acc>
void longest_gradient(const Acc* above, const Acc* row, const Acc* below, int64_t width, Acc* dx,
                      Acc* dy, Acc* length) {
  const auto keep = [&](int64_t x, Acc horizontal, Acc vertical) {
    const Acc squared = horizontal * horizontal + vertical * vertical;
    const bool longer = squared > length[x];
    dx[x] = longer ? horizontal : dx[x];
    dy[x] = longer ? vertical : dy[x];
    length[x] = longer ? squared : length[x];
  };
  keep(0, 0, below[0] - above[0]);
  for (int64_t x = 1; x < width - 1; ++x) keep(x, row[x + 1] - row[x - 1], below[x] - above[x]);
  if (width > 1) keep(width - 1, 0, below[width - 1] - above[width - 1]);
}

// The bin of each gradient, and its length in place of the square.
template <typename Acc>
void gradient_bins(const Acc* dx, const Acc* dy, int64_t width, const Acc* borders,
                   int64_t orientations, int32_t* bin, Acc* length) {
  for (int64_t x = 0; x < width; ++x) bin[x] = 0;
  for (int64_t k = 0; k < orientations - 1; ++k) {
    const Acc cosine = borders[2 * k], sine = borders[2 * k + 1];
    for (int64_t x = 0; x < width; ++x) {
      // Half a turn further it is the same direction.
      const Acc sign = dy[x] < 0 || (dy[x] == 0 && dx[x] < 0) ? Acc(-1) : Acc(1);
      bin[x] += sign * (cosine * dy[x] - sine * dx[x]) >= 0 ? 1 : 0;
    }
  }
  for (int64_t x = 0; x < width; ++x) length[x] = std::sqrt(length[x]);
}

}  // namespace fastcv::FASTCV_ISA
