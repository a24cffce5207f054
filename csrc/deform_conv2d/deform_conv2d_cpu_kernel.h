// Reads and writes what the samples of one tap say, for channels of one offset group; and the
// tiles of the matrix products. Compiled once per instruction set.
#include "common/cpu/bfloat16_pairs.h"
#include "common/cpu/matmul_tile.h"

namespace fastcv::FASTCV_ISA {

// out[p * out_row + c] = sample p of channel c.
template <typename Acc, typename T>
void gather(const PixelView<T>& image, int64_t channels, const Sample<Acc>* samples, int count,
            Acc* out, int64_t out_row) {
  if (image.channel_stride == 1) {
    for (int p = 0; p < count; ++p, out += out_row) {
      const Sample<Acc>& s = samples[p];
      if (s.outside()) {
        std::memset(out, 0, channels * sizeof(Acc));
        continue;
      }
      const T *a = image.at(s.pixel[0]), *b = image.at(s.pixel[1]), *c = image.at(s.pixel[2]),
              *d = image.at(s.pixel[3]);
      const vec<Acc> wa = broadcast(s.weight[0]), wb = broadcast(s.weight[1]),
                     wc = broadcast(s.weight[2]), wd = broadcast(s.weight[3]);
      int64_t i = 0;
      for (; i + lanes<Acc> <= channels; i += lanes<Acc>) {
        vec<Acc> sum = wd * load<Acc>(d + i);
        sum = madd(wc, load<Acc>(c + i), sum);
        sum = madd(wb, load<Acc>(b + i), sum);
        store<Acc>(out + i, madd(wa, load<Acc>(a + i), sum));
      }
      for (; i < channels; ++i) {
        Acc sum = s.weight[3] * static_cast<Acc>(d[i]);
        sum = madd(s.weight[2], static_cast<Acc>(c[i]), sum);
        sum = madd(s.weight[1], static_cast<Acc>(b[i]), sum);
        out[i] = madd(s.weight[0], static_cast<Acc>(a[i]), sum);
      }
    }
    return;
  }
  for (int64_t i = 0; i < channels; ++i) {  // a plane at a time
    const T* plane = image.data + i * image.channel_stride;
    for (int p = 0; p < count; ++p) {
      const Sample<Acc>& s = samples[p];
      Acc sum = 0;
      if (!s.outside()) {
        const auto pixel = [&](int k) {
          return static_cast<Acc>(plane[s.pixel[k] * image.pixel_stride]);
        };
        sum = s.weight[3] * pixel(3);
        sum = madd(s.weight[2], pixel(2), sum);
        sum = madd(s.weight[1], pixel(1), sum);
        sum = madd(s.weight[0], pixel(0), sum);
      }
      out[p * out_row + i] = sum;
    }
  }
}

// dots[p * 4 + k] += the sum over channels of grad[p * grad_row + c] times corner k of sample p.
template <typename Acc, typename T>
void dot_corners(const PixelView<T>& image, int64_t channels, const Sample<Acc>* samples, int count,
                 const Acc* grad, int64_t grad_row, Acc* dots) {
  if (image.channel_stride == 1) {
    for (int p = 0; p < count; ++p, grad += grad_row, dots += 4) {
      const Sample<Acc>& s = samples[p];
      if (s.outside()) continue;
      const T* corner[4];
      for (int k = 0; k < 4; ++k) corner[k] = image.at(s.pixel[k]);
      vec<Acc> sum[4] = {};
      int64_t i = 0;
      for (; i + lanes<Acc> <= channels; i += lanes<Acc>) {
        const vec<Acc> g = load<Acc>(grad + i);
        for (int k = 0; k < 4; ++k) sum[k] = madd(g, load<Acc>(corner[k] + i), sum[k]);
      }
      for (int k = 0; k < 4; ++k) {
        Acc rest = 0;
        for (int64_t j = i; j < channels; ++j) {
          rest = madd(grad[j], static_cast<Acc>(corner[k][j]), rest);
        }
        for (int l = 0; l < lanes<Acc>; ++l) rest += sum[k][l];
        dots[k] += rest;
      }
    }
    return;
  }
  for (int64_t i = 0; i < channels; ++i) {
    const T* plane = image.data + i * image.channel_stride;
    for (int p = 0; p < count; ++p) {
      const Sample<Acc>& s = samples[p];
      if (s.outside()) continue;
      const Acc g = grad[p * grad_row + i];
      for (int k = 0; k < 4; ++k) {
        const Acc value = static_cast<Acc>(plane[s.pixel[k] * image.pixel_stride]);
        dots[p * 4 + k] = madd(g, value, dots[p * 4 + k]);
      }
    }
  }
}

// Adds sample p's weights times grad[p * grad_row + c] to its corners among the pixels [first,
// last), which begin at `pixels`, `pixel_row` apart.
template <typename Acc>
void scatter(const Sample<Acc>* samples, int count, const Acc* grad, int64_t grad_row,
             int64_t channels, int64_t first, int64_t last, Acc* pixels, int64_t pixel_row) {
  for (int p = 0; p < count; ++p, grad += grad_row) {
    const Sample<Acc>& s = samples[p];
    for (int k = 0; k < 4; ++k) {
      if (s.weight[k] == 0 || s.pixel[k] < first || s.pixel[k] >= last) continue;
      const vec<Acc> w = broadcast(s.weight[k]);
      Acc* to = pixels + (s.pixel[k] - first) * pixel_row;
      int64_t i = 0;
      for (; i + lanes<Acc> <= channels; i += lanes<Acc>) {
        store<Acc>(to + i, madd(w, load<Acc>(grad + i), load<Acc>(to + i)));
      }
      for (; i < channels; ++i) to[i] = madd(s.weight[k], grad[i], to[i]);
    }
  }
}

// Weights as the matrix product reads them: b[j / tile][i][j % tile], with 0 for columns j that do
// not exist; element (i, j) at weight[i * row + j * column].
template <typename Acc, typename T>
void pack_columns(const T* weight, int64_t rows, int64_t row, int64_t columns, int64_t column,
                  Acc* b) {
  for (int64_t first = 0; first < columns; first += tile_columns<Acc>) {
    for (int64_t j = 0; j < tile_columns<Acc>; ++j, ++b) {
      const bool exists = first + j < columns;
      for (int64_t i = 0; i < rows; ++i) {
        b[i * tile_columns<Acc>] =
            exists ? static_cast<Acc>(weight[i * row + (first + j) * column]) : Acc(0);
      }
    }
    b += (rows - 1) * tile_columns<Acc>;
  }
}

// c (+)= a * b: a [rows, n] at a[r * a_row + i * a_step]; b packed, or (b_row > 0) plain rows.
// Whole tiles are written, also beyond the last row and column.
template <bool add, typename Acc>
void multiply(int64_t rows, int64_t columns, int64_t n, const Acc* a, int64_t a_row, int64_t a_step,
              const Acc* b, int64_t b_row, Acc* c, int64_t c_row) {
  const int64_t next_b = b_row > 0 ? tile_columns<Acc> : n * tile_columns<Acc>;
  const int64_t step_b = b_row > 0 ? b_row : tile_columns<Acc>;
  for (int64_t j = 0; j < columns; j += tile_columns<Acc>, b += next_b) {
    for (int64_t r = 0; r < rows; r += tile_rows) {
      multiply_tile<add>(n, a + r * a_row, a_row, a_step, b, step_b, c + r * c_row + j, c_row);
    }
  }
}

#if FASTCV_VECTOR_BYTES == 64
// c += a * b for rows of a that pair_row() and weights that pair_columns() left.
inline void multiply_pairs(int64_t rows, int64_t columns, int64_t n, const float* a, int64_t a_row,
                           const float* b, float* c, int64_t c_row) {
  constexpr int64_t width = tile_columns<float>;
  for (int64_t j = 0; j < columns; j += width, b += n * width) {
    for (int64_t r = 0; r < rows; r += tile_rows) {
      TileSums<float> sum;
      add_pairs<tile_rows, 2>(ceil_div(n, 2), a + r * a_row, a_row, 1, b, width, sum);
      store_tile<true, float>(sum, c + r * c_row + j, c_row);
    }
  }
}

// Weights of pack_columns() as words of two rows.
inline void pair_columns(int64_t rows, int64_t columns, float* b) {
  constexpr int64_t width = tile_columns<float>;
  for (int64_t j = 0; j < columns; j += width, b += rows * width) pair_rows(rows, width, b);
}
#endif

}  // namespace fastcv::FASTCV_ISA
