#include "selective_search/color_space.h"

#include <algorithm>
#include <cmath>

namespace fastcv {
namespace {

float hue(float r, float g, float b, float largest, float range) {
  if (range == 0) return 0;
  float sixths;
  if (largest == r) {
    sixths = (g - b) / range;
  } else if (largest == g) {
    sixths = 2 + (b - r) / range;
  } else {
    sixths = 4 + (r - g) / range;
  }
  return (sixths < 0 ? sixths + 6 : sixths) / 6;
}

float linear(float s) { return s <= 0.04045f ? s / 12.92f : std::pow((s + 0.055f) / 1.055f, 2.4f); }

// CIE's f of a ratio to white.
float lightness(float t) {
  return t > 216.0f / 24389 ? std::cbrt(t) : (24389.0f / 27 * t + 16) / 116;
}

void to_lab(float r, float g, float b, float* l, float* a, float* bb) {
  r = linear(r), g = linear(g), b = linear(b);
  const float x = lightness((0.412453f * r + 0.357580f * g + 0.180423f * b) / 0.95047f);
  const float y = lightness(0.212671f * r + 0.715160f * g + 0.072169f * b);
  const float z = lightness((0.019334f * r + 0.119193f * g + 0.950227f * b) / 1.08883f);
  *l = (116 * y - 16) / 100;
  *a = (500 * (x - y) + 128) / 255;
  *bb = (200 * (y - z) + 128) / 255;
}

}  // namespace

ColorImage in_color_space(const float* rgb, int64_t pixels, ColorSpace space) {
  const bool one = space == ColorSpace::hue || space == ColorSpace::intensity;
  ColorImage image{one ? 1 : 3, std::vector<float>((one ? 1 : 3) * pixels)};
  float* out = image.planes.data();
  const float *red = rgb, *green = rgb + pixels, *blue = rgb + 2 * pixels;
  if (space == ColorSpace::rgb) std::copy_n(rgb, 3 * pixels, out);
  for (int64_t i = 0; i < pixels && space != ColorSpace::rgb; ++i) {
    const float r = red[i], g = green[i], b = blue[i], sum = r + g + b;
    const float largest = std::max({r, g, b}), range = largest - std::min({r, g, b});
    switch (space) {
      case ColorSpace::hsv:
        out[i] = hue(r, g, b, largest, range);
        out[i + pixels] = largest > 0 ? range / largest : 0;
        out[i + 2 * pixels] = largest;
        break;
      case ColorSpace::lab:
        to_lab(r, g, b, out + i, out + i + pixels, out + i + 2 * pixels);
        break;
      case ColorSpace::rgi:
        out[i] = sum > 0 ? r / sum : 1.0f / 3;
        out[i + pixels] = sum > 0 ? g / sum : 1.0f / 3;
        out[i + 2 * pixels] = sum / 3;
        break;
      case ColorSpace::hue:
        out[i] = hue(r, g, b, largest, range);
        break;
      default:
        out[i] = sum / 3;
    }
  }
  return image;
}

}  // namespace fastcv
