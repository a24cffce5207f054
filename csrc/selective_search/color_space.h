// Colour spaces in which an image is segmented and its regions are compared.
#pragma once

#include <cstdint>
#include <vector>

namespace fastcv {

// In the order of COLOR_SPACES in fastcv/ops/selective_search.py.
enum class ColorSpace { rgb, hsv, lab, rgi, hue, intensity };

struct ColorImage {
  int64_t channels;
  std::vector<float> planes;  // [channels, height, width], each channel in [0, 1]
};

// rgb: [3, pixels] in [0, 1], sRGB.
//   hsv        hue as a share of the turn, saturation, value
//   lab        CIE L / 100, and (a + 128) / 255, (b + 128) / 255, white D65
//   rgi        R and G as shares of R + G + B (a third where that is 0), and the intensity
//   hue        that of hsv
//   intensity  (R + G + B) / 3
ColorImage in_color_space(const float* rgb, int64_t pixels, ColorSpace space);

}  // namespace fastcv
