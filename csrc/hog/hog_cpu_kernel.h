namespace fastcv::FASTCV_ISA {

// The gradients of a row of an image's channel where they are longer than what is there: dx, dy,
// and their length squared. `above` and `below` are the rows beside it; the same row at the border.
template <typename Acc>
void longest_gradient(const Acc* __restrict__ above, const Acc* __restrict__ row,
                      const Acc* __restrict__ below, int64_t width, Acc* __restrict__ dx,
                      Acc* __restrict__ dy, Acc* __restrict__ length) {
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

// The bin of each gradient, and its length in place of the square. Gradients are turned into the
// half plane y >= 0: half a turn further they have the same direction.
template <typename Acc>
void gradient_bins(Acc* __restrict__ dx, Acc* __restrict__ dy, int64_t width,
                   const Acc* __restrict__ borders, int64_t orientations, int32_t* __restrict__ bin,
                   Acc* __restrict__ length) {
  for (int64_t x = 0; x < width; ++x) {
    const bool turned = (dy[x] < 0) | ((dy[x] == 0) & (dx[x] < 0));
    dx[x] = turned ? -dx[x] : dx[x];
    dy[x] = turned ? -dy[x] : dy[x];
    length[x] = std::sqrt(length[x]);
    bin[x] = 0;
  }
  for (int64_t k = 0; k < orientations - 1; ++k) {
    const Acc cosine = borders[2 * k], sine = borders[2 * k + 1];
    for (int64_t x = 0; x < width; ++x) bin[x] += cosine * dy[x] - sine * dx[x] >= 0 ? 1 : 0;
  }
}

}  // namespace fastcv::FASTCV_ISA
