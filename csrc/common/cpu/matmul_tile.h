// For CPU kernel headers (common/cpu/foreach_isa.h): the inner product of a matrix product, one
// tile of the result in registers, and transposition. The tile fills the registers: of 16, twelve
// hold sums, two a row of b and one a number of a.
namespace fastcv::FASTCV_ISA {

template <typename Acc>
inline constexpr int tile_columns = 2 * lanes<Acc>;
inline constexpr int tile_rows = FASTCV_VECTOR_BYTES == 64 ? 12 : 6;

template <typename Acc>
using TileSums = vec<Acc>[tile_rows][2];

// out[r][j] = sum over i < n of a[r * a_row + i * a_step] * b[i * b_row + j], for tile_rows rows r
// and tile_columns columns j.
template <typename Acc>
[[gnu::always_inline]] inline void tile_sums(int64_t n, const Acc* a, int64_t a_row, int64_t a_step,
                                             const Acc* b, int64_t b_row, TileSums<Acc>& out) {
  TileSums<Acc> sum = {};
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
  for (int r = 0; r < tile_rows; ++r) {
    out[r][0] = sum[r][0];
    out[r][1] = sum[r][1];
  }
}

// A tile into memory, or added to what is there: c[r * c_row + j].
template <bool add, typename Acc>
[[gnu::always_inline]] inline void store_tile(const TileSums<Acc>& sum, Acc* c, int64_t c_row) {
#pragma GCC unroll 12
  for (int r = 0; r < tile_rows; ++r, c += c_row) {
    for (int j = 0; j < 2; ++j) {
      Acc* p = c + j * lanes<Acc>;
      store<Acc>(p, add ? load<Acc>(p) + sum[r][j] : sum[r][j]);
    }
  }
}

template <bool add, typename Acc>
inline void multiply_tile(int64_t n, const Acc* a, int64_t a_row, int64_t a_step, const Acc* b,
                          int64_t b_row, Acc* c, int64_t c_row) {
  TileSums<Acc> sum;
  tile_sums(n, a, a_row, a_step, b, b_row, sum);
  store_tile<add, Acc>(sum, c, c_row);
}

// Row r of the sums plus (left, right), its first `columns` columns, rounded to T.
template <typename T, typename Acc>
inline void store_row(const vec<Acc> (&sum)[2], vec<Acc> left, vec<Acc> right, int64_t columns,
                      T* out) {
  if (columns >= tile_columns<Acc>) {
    store<Acc>(out, sum[0] + left);
    store<Acc>(out + lanes<Acc>, sum[1] + right);
  } else {
    T whole[tile_columns<Acc>];
    store<Acc>(whole, sum[0] + left);
    store<Acc>(whole + lanes<Acc>, sum[1] + right);
    for (int64_t i = 0; i < columns; ++i) out[i] = whole[i];
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

// panel[i * width + j] = src[i * along + j * across] for i < n and j < count, 0 for j beyond.
template <int width, typename T, typename Acc>
inline void pack_panel(const T* src, int64_t across, int64_t along, int64_t count, int64_t n,
                       Acc* panel) {
  for (int64_t i = 0; i < n; ++i, src += along, panel += width) {
    if (count >= width && across == 1) {
      copy_into<Acc>(src, width, panel);
    } else if (count >= width) {
      for (int j = 0; j < width; ++j) panel[j] = static_cast<Acc>(src[j * across]);
    } else {
      for (int j = 0; j < width; ++j) panel[j] = j < count ? static_cast<Acc>(src[j * across]) : 0;
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
