// What does not depend on the device: schema, checks, the borders between bins.
#include "hog/hog.h"

#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/host/checks.h"

namespace fastcv {

HogShape hog_shape(const at::Tensor& images, int64_t orientations, int64_t cell_size,
                   int64_t block_size) {
  TORCH_CHECK(images.dim() == 4 && images.size(1) >= 1,
              "hog: images must have shape [B, C, H, W], C at least 1, got ", images.sizes());
  check_floating("hog", images, "images");
  TORCH_CHECK(orientations >= 1 && orientations <= 32, "hog: orientations must be 1 to 32, got ",
              orientations);
  TORCH_CHECK(cell_size >= 1, "hog: cell_size must be at least 1, got ", cell_size);
  TORCH_CHECK(block_size >= 1 && block_size <= 8, "hog: block_size must be 1 to 8, got ",
              block_size);
  HogShape s{images.size(0), images.size(1), images.size(2), images.size(3), 0, 0, 0, 0,
             orientations,   cell_size,      block_size};
  s.cells_y = s.height / cell_size;
  s.cells_x = s.width / cell_size;
  s.blocks_y = s.cells_y - block_size + 1;
  s.blocks_x = s.cells_x - block_size + 1;
  TORCH_CHECK(s.blocks_y > 0 && s.blocks_x > 0, "hog: images must be at least ",
              cell_size * block_size, " pixels high and wide, a block, got ", s.height, " x ",
              s.width);
  return s;
}

std::vector<double> hog_borders(int64_t orientations) {
  std::vector<double> borders;
  for (int64_t k = 1; k < orientations; ++k) {
    double cosine = std::cos(std::numbers::pi * k / orientations);
    double sine = std::sin(std::numbers::pi * k / orientations);
    if (4 * k == orientations) cosine = sine;
    if (2 * k == orientations) cosine = 0;
    if (4 * k == 3 * orientations) cosine = -sine;
    borders.insert(borders.end(), {cosine, sine});
  }
  return borders;
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("hog(Tensor images, int orientations, int cell_size, int block_size) -> Tensor");
}

}  // namespace fastcv
