// For CPU kernel headers (common/cpu/foreach_isa.h): products of bfloat16 in pairs, which a
// processor with AVX512_BF16 multiplies and adds to a float at once (common/cpu/cpu_bfloat16.h).
#if FASTCV_VECTOR_BYTES == 64
namespace fastcv::FASTCV_ISA {

// GCC adds a function's target to the file's, clang takes it alone.
#define FASTCV_TARGET_BF16 \
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2,avx512bf16")]]

// Rows of `width` floats that hold bfloat16, in place as words of two rows: words[i / 2 * width +
// j] has (i, j) and (i + 1, j). Behind an odd last row are zeros.
inline void pair_rows(int64_t rows, int64_t width, float* a) {
  for (int64_t i = 0; i < rows; i += 2) {
    for (int64_t j = 0; j < width; j += lanes<float>) {
      const int_vec even = (int_vec)load<float>(a + i * width + j);
      const int_vec odd = i + 1 < rows ? (int_vec)load<float>(a + (i + 1) * width + j) : int_vec{};
      store<float>(a + i / 2 * width + j, (vec<float>)((even >> 16 & 0xffff) | (odd & ~0xffff)));
    }
  }
}

// A row of n floats, rounded, in place as words of two of them; behind an odd last one is a zero.
inline void pair_row(int64_t n, float* row) {
  for (int64_t i = 0; i < n; i += lanes<float>) {
    const int64_t count = n - i < lanes<float> ? n - i : lanes<float>;
    float values[lanes<float>] = {};
    c10::BFloat16 narrow[lanes<float>];
    std::memcpy(values, row + i, count * sizeof(float));
    store<float>(narrow, load<float>(values));
    std::memcpy(reinterpret_cast<char*>(row) + i * 2, narrow, ceil_div(count, 2) * 4);
  }
}

// out[r][j] = sum over i < pairs of a[r * a_row + i * a_step] * b[i * b_row + j], of words of two.
template <int rows, int vectors>
FASTCV_TARGET_BF16 inline void add_pairs(int64_t pairs, const float* a, int64_t a_row,
                                         int64_t a_step, const float* b, int64_t b_row,
                                         vec<float> (&out)[rows][vectors]) {
  __m512 sum[rows][vectors] = {};
  for (int64_t i = 0; i < pairs; ++i, a += a_step, b += b_row) {
    __m512bh row[vectors];
    for (int j = 0; j < vectors; ++j) {
      row[j] = (__m512bh)_mm512_loadu_si512(b + j * lanes<float>);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + r * a_row, sizeof pair);
      const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], x, row[j]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < vectors; ++j) out[r][j] = (vec<float>)sum[r][j];
  }
}

}  // namespace fastcv::FASTCV_ISA
#endif
