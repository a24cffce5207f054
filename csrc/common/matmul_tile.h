// For CPU kernel headers (common/foreach_isa.h): the inner product of a matrix product, one tile of
// the result in registers, and transposition. The tile fills the registers: of 16, twelve hold
// sums, two a row of b and one a number of a.
namespace fastcv::FASTCV_ISA {

template <typename Acc>
inline constexpr int tile_columns = 2 * lanes<Acc>;
inline constexpr int tile_rows = FASTCV_VECTOR_BYTES == 64 ? 12 : 6;

// c[r][j] (+)= sum over i < n of a[r * a_row + i * a_step] * b[i * b_row + j], for tile_rows rows
// r and tile_columns columns j.
template <bool add, typename Acc>
inline void multiply_tile(int64_t n, const Acc* a, int64_t a_row, int64_t a_step, const Acc* b,
                          int64_t b_row, Acc* c, int64_t c_row) {
  vec<Acc> sum[tile_rows][2] = {};
  for (int64_t i = 0; i < n; ++i, a += a_step, b += b_row) {
    const vec<Acc> b0 = load<Acc>(b), b1 = load<Acc>(b + lanes<Acc>);
#pragma GCC unroll 12
    for (int r = 0; r < tile_rows; ++r) {
      const vec<Acc> x = broadcast(a[r * a_row]);
      sum[r][0] = madd(x, b0, sum[r][0]);
      sum[r][1] = madd(x, b1, sum[r][1]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < tile_rows; ++r, c += c_row) {
    for (int j = 0; j < 2; ++j) {
      Acc* p = c + j * lanes<Acc>;
      store<Acc>(p, add ? load<Acc>(p) + sum[r][j] : sum[r][j]);
    }
  }
}

// dst[j * dst_row + i] = src[i * src_row + j] for i < rows, j < columns.
template <typename Acc, typename In, typename Out>
inline void transpose_into(const In* src, int64_t src_row, int64_t rows, int64_t columns, Out* dst,
                           int64_t dst_row) {
  constexpr int step = lanes<Acc>;
  for (int64_t i = 0; i < rows; i += step) {
    int64_t j = 0;
    if (i + step <= rows) {
      for (; j + step <= columns; j += step) {
        vec<Acc> block[step];
        for (int k = 0; k < step; ++k) block[k] = load<Acc>(src + (i + k) * src_row + j);
        transpose(block);
        for (int k = 0; k < step; ++k) store<Acc>(dst + (j + k) * dst_row + i, block[k]);
      }
    }
    const int64_t end = i + step < rows ? i + step : rows;
    for (; j < columns; ++j) {
      for (int64_t k = i; k < end; ++k) {
        dst[j * dst_row + k] = static_cast<Out>(static_cast<Acc>(src[k * src_row + j]));
      }
    }
  }
}

// dst[i] = src[i] for i < n.
template <typename Acc, typename In, typename Out>
inline void copy_into(const In* src, int64_t n, Out* dst) {
  int64_t i = 0;
  for (; i + lanes<Acc> <= n; i += lanes<Acc>) store<Acc>(dst + i, load<Acc>(src + i));
  for (; i < n; ++i) dst[i] = static_cast<Out>(static_cast<Acc>(src[i]));
}

}  // namespace fastcv::FASTCV_ISA
