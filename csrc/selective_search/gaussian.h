// Separable filters with Gaussians and their derivatives on one plane of an image.
#pragma once

#include <cstdint>
#include <vector>

namespace fastcv {

// Odd lengths, cut at 4 sigma, the middle is the pixel itself. sigma must be above 0.
std::vector<float> gaussian(double sigma);
// Rises to the right give positive responses.
std::vector<float> gaussian_derivative(double sigma);

// plane: [height, width]. Beyond the border the plane is mirrored, the border pixel twice.
std::vector<float> filtered(const float* plane, int64_t height, int64_t width,
                            const std::vector<float>& along_x, const std::vector<float>& along_y);

}  // namespace fastcv
