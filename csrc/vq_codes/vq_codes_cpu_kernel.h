// A tile of scores stays in registers: of it only the best of each row and lane is kept.
#include "common/cpu/matmul_tile.h"

namespace fastcv::FASTCV_ISA {

// Codes [begin, end) of `count`, begin a multiple of tile_columns, as panels [d][tile_columns], and
// half of their squared lengths. Codes from `count` on have infinite length: no vector's nearest.
template <typename T, typename Acc>
void pack_codes(const T* codebook, int64_t row, int64_t step, int64_t count, int64_t d,
                int64_t begin, int64_t end, Acc* panels, Acc* halves) {
  constexpr int width = tile_columns<Acc>;
  for (int64_t k = begin; k < end; k += width) {
    Acc* const panel = panels + k * d;
    const int64_t here = count - k < width ? count - k : width;
    pack_panel<width>(codebook + k * row, row, step, here > 0 ? here : 0, d, panel);
    vec<Acc> squares[2] = {};
    for (int64_t i = 0; i < d; ++i) {
      for (int j = 0; j < 2; ++j) {
        const vec<Acc> e = load<Acc>(panel + i * width + j * lanes<Acc>);
        squares[j] = madd(e, e, squares[j]);
      }
    }
    for (int j = 0; j < 2; ++j) {
      store<Acc>(halves + k + j * lanes<Acc>, squares[j] * broadcast(Acc(0.5)));
    }
    for (int64_t j = here > 0 ? here : 0; j < width; ++j) {
      halves[k + j] = std::numeric_limits<Acc>::infinity();
    }
  }
}

// The best of a row's lanes: of equal scores the smaller code, -1 where none is finite.
template <typename Acc>
int64_t best_code(const Acc* scores, const Acc* panels) {
  Acc best = -std::numeric_limits<Acc>::infinity();
  int64_t code = -1;
  for (int j = 0; j < tile_columns<Acc>; ++j) {
    const int64_t of_lane = static_cast<int64_t>(panels[j]) * tile_columns<Acc> + j;
    if (scores[j] > best || (code >= 0 && scores[j] == best && of_lane < code)) {
      best = scores[j];
      code = of_lane;
    }
  }
  return best < std::numeric_limits<Acc>::infinity() ? code : -1;
}

// Codes of `count` vectors. `panels` and `halves` have `padded` codes; packed: room for the
// vectors, filled up to whole tiles of rows; best: for twice tile_columns numbers for each of
// these.
template <typename T, typename Acc>
void find_codes(const T* vectors, int64_t row, int64_t step, int64_t count, int64_t d,
                const Acc* panels, const Acc* halves, int64_t padded, Acc* packed, Acc* best,
                int64_t* codes) {
  constexpr int width = tile_columns<Acc>;
  const int64_t rows = round_up(count, tile_rows);
  for (int64_t n = 0; n < rows; n += tile_rows) {
    const int64_t here = count - n < tile_rows ? count - n : tile_rows;
    pack_panel<tile_rows>(vectors + n * row, row, step, here, d, packed + n * d);
  }
  std::fill_n(best, rows * width, -std::numeric_limits<Acc>::infinity());
  Acc* const found = best + rows * width;  // the panel of each; a float holds it exactly
  std::fill_n(found, rows * width, Acc(0));
  for (int64_t k = 0; k < padded; k += width) {
    const vec<Acc> half[2] = {load<Acc>(halves + k), load<Acc>(halves + k + lanes<Acc>)};
    const vec<Acc> panel = broadcast(static_cast<Acc>(k / width));
    for (int64_t n = 0; n < rows; n += tile_rows) {
      TileSums<Acc> sums;
      tile_sums(d, packed + n * d, 1, tile_rows, panels + k * d, width, sums);
#pragma GCC unroll 12
      for (int r = 0; r < tile_rows; ++r) {
        for (int j = 0; j < 2; ++j) {
          const int64_t at = (n + r) * width + j * lanes<Acc>;
          const vec<Acc> score = sums[r][j] - half[j], before = load<Acc>(best + at);
          const vec<Acc> of_panel = load<Acc>(found + at);
          store<Acc>(best + at, score > before ? score : before);
          store<Acc>(found + at, score > before ? panel : of_panel);
        }
      }
    }
  }
  for (int64_t n = 0; n < count; ++n) {
    codes[n] = best_code<Acc>(best + n * width, found + n * width);
  }
}

// to[i] += row[i * step] for i < n.
template <typename T, typename Acc>
inline void add_row(const T* row, int64_t step, int64_t n, Acc* to) {
  int64_t i = 0;
  if (step == 1) {
    for (; i + lanes<Acc> <= n; i += lanes<Acc>) {
      store<Acc>(to + i, load<Acc>(to + i) + load<Acc>(row + i));
    }
  }
  for (; i < n; ++i) to[i] += static_cast<Acc>(row[i * step]);
}

// Adds the n numbers of each vector that has a code to that code's, which are `sums_row` apart.
template <typename T, typename Acc>
void add_by_code(const T* vectors, int64_t row, int64_t step, int64_t count, const int64_t* codes,
                 int64_t n, Acc* sums, int64_t sums_row) {
  for (int64_t i = 0; i < count; ++i) {
    if (codes[i] >= 0) add_row<T, Acc>(vectors + i * row, step, n, sums + codes[i] * sums_row);
  }
}

}  // namespace fastcv::FASTCV_ISA
