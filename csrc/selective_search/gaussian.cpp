#include "selective_search/gaussian.h"

#include <cmath>

namespace fastcv {
namespace {

// Where a coordinate beyond the border is read.
int64_t mirrored(int64_t i, int64_t size) {
  i %= 2 * size;
  if (i < 0) i += 2 * size;
  return i < size ? i : 2 * size - 1 - i;
}

}  // namespace

std::vector<float> gaussian(double sigma) {
  const int radius = static_cast<int>(4 * sigma + 0.5);
  std::vector<double> weights;
  double sum = 0;
  for (int x = -radius; x <= radius; ++x) {
    weights.push_back(std::exp(-0.5 * x * x / (sigma * sigma)));
    sum += weights.back();
  }
  std::vector<float> kernel;
  for (const double w : weights) kernel.push_back(static_cast<float>(w / sum));
  return kernel;
}

std::vector<float> gaussian_derivative(double sigma) {
  std::vector<float> kernel = gaussian(sigma);
  const int radius = static_cast<int>(kernel.size() / 2);
  for (int x = -radius; x <= radius; ++x) {
    kernel[x + radius] *= static_cast<float>(x / (sigma * sigma));
  }
  return kernel;
}

std::vector<float> filtered(const float* plane, int64_t height, int64_t width,
                            const std::vector<float>& along_x, const std::vector<float>& along_y) {
  const int64_t rx = along_x.size() / 2, ry = along_y.size() / 2;
  std::vector<float> padded(width + 2 * rx), rows(height * width, 0.0f), out(height * width, 0.0f);
  for (int64_t y = 0; y < height; ++y) {
    const float* row = plane + y * width;
    for (int64_t x = -rx; x < width + rx; ++x) {
      padded[x + rx] = row[x >= 0 && x < width ? x : mirrored(x, width)];
    }
    float* sum = &rows[y * width];
    for (size_t k = 0; k < along_x.size(); ++k) {
      const float weight = along_x[k];
      const float* source = &padded[k];
      for (int64_t x = 0; x < width; ++x) sum[x] += weight * source[x];
    }
  }
  for (int64_t y = 0; y < height; ++y) {
    float* sum = &out[y * width];
    for (int64_t k = -ry; k <= ry; ++k) {
      const float weight = along_y[k + ry];
      const float* source = &rows[mirrored(y + k, height) * width];
      for (int64_t x = 0; x < width; ++x) sum[x] += weight * source[x];
    }
  }
  return out;
}

}  // namespace fastcv
