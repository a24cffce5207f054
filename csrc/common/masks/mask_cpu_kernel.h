// Included by the kernels of masks, once per instruction set: a mask's rows are stretched along x
// first, then two of them at a time along y.
namespace fastcv::FASTCV_ISA {

// n pixels of a row of samples: each lies between two of them.
template <typename Acc>
void stretch_row(const Acc* __restrict__ samples, const int32_t* __restrict__ low,
                 const int32_t* __restrict__ high, const Acc* __restrict__ low_weight,
                 const Acc* __restrict__ high_weight, int64_t n, Acc* __restrict__ out) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = low_weight[i] * samples[low[i]] + high_weight[i] * samples[high[i]];
  }
}

// Which of n pixels between two rows are above the threshold: 1 or 0.
template <typename Acc>
void pixels_above(const Acc* __restrict__ low, const Acc* __restrict__ high, Acc low_weight,
                  Acc high_weight, Acc threshold, int64_t n, uint8_t* __restrict__ out) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = low_weight * low[i] + high_weight * high[i] > threshold ? 1 : 0;
  }
}

}  // namespace fastcv::FASTCV_ISA
