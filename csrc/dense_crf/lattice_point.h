// The permutohedral lattice, for host and device: in which simplex a point lies, and where.
//
// Points of d dimensions are put into the hyperplane of R^(d + 1) whose coordinates sum to 0. The
// lattice's vertices are its integer points whose coordinates are all congruent modulo d + 1; that
// remainder r and the quotients q_0 .. q_(d-1) number a vertex (q_d follows, the sum is 0), and are
// packed into one key of 64 bits: r in the lowest 3, then each q with as many bits as there are.
// Source: Adams et al., "Fast High-Dimensional Filtering Using the Permutohedral Lattice" (2010).
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "common/host/host_device.h"

namespace fastcv {

template <int d>
struct LatticeKey {
  static constexpr int bits = 60 / d;
  static constexpr int64_t half = int64_t{1} << (bits - 1);  // quotients are -half to half - 1
  static FASTCV_HD uint64_t unit(int axis) { return uint64_t{1} << (3 + bits * axis); }

  // The vertex one step along an axis, 0 to d: each coordinate 1 more, that of the axis d less.
  static FASTCV_HD uint64_t next(uint64_t key, int axis) {
    if ((key & 7) == d) {
      key -= d;
      for (int i = 0; i < d; ++i) key += unit(i);
    } else {
      key += 1;
    }
    return axis < d ? key - unit(axis) : key;
  }
  static FASTCV_HD uint64_t previous(uint64_t key, int axis) {
    if (axis < d) key += unit(axis);
    if ((key & 7) != 0) return key - 1;
    for (int i = 0; i < d; ++i) key -= unit(i);
    return key + d;
  }
};

// f(std::integral_constant<int, d>) for d = 2 to 6: two of a pixel's place, and its channels.
template <typename F>
decltype(auto) with_dimensions(int64_t d, F f) {
  switch (d) {
    case 2:
      return f(std::integral_constant<int, 2>());
    case 3:
      return f(std::integral_constant<int, 3>());
    case 4:
      return f(std::integral_constant<int, 4>());
    case 5:
      return f(std::integral_constant<int, 5>());
    default:
      return f(std::integral_constant<int, 6>());
  }
}

// The largest distance of a point from the origin, in feature units, whose vertices have keys: a
// step along an axis from there included.
template <int d>
double lattice_reach() {
  return (static_cast<double>(LatticeKey<d>::half) - 4) / std::sqrt(2.0 / 3.0);
}

// What dimension i of d is multiplied by, so that the blur along all axes is a Gaussian of standard
// deviation 1.
template <int d>
double lattice_scale(int i) {
  return std::sqrt(2.0 / 3.0) * (d + 1) / std::sqrt((i + 1.0) * (i + 2.0));
}

// The d + 1 vertices about a point of scaled coordinates, and its barycentric coordinates.
template <int d, typename Acc>
FASTCV_HD void lattice_point(const Acc (&scaled)[d], uint64_t (&key)[d + 1], Acc (&weight)[d + 1]) {
  constexpr Acc one_of_all = Acc(1) / (d + 1);
  Acc elevated[d + 1], sum = 0;
  for (int i = d; i > 0; --i) {
    elevated[i] = sum - static_cast<Acc>(i) * scaled[i - 1];
    sum += scaled[i - 1];
  }
  elevated[0] = sum;

  // The nearest point whose coordinates are multiples of d + 1; its quotients may not sum to 0.
  int quotient[d + 1], rank[d + 1], excess = 0;
  for (int i = 0; i <= d; ++i) {
    const Acc near = std::floor(elevated[i] * one_of_all + Acc(0.5));
    const Acc reach = static_cast<Acc>(LatticeKey<d>::half - 3);
    // Beyond what has keys, and NaN: some vertex or other.
    quotient[i] = static_cast<int>(!(near > -reach) ? -reach : near > reach ? reach : near);
    elevated[i] -= static_cast<Acc>(quotient[i]) * static_cast<Acc>(d + 1);
    rank[i] = 0;
    excess += quotient[i];
  }
  for (int i = 0; i < d; ++i) {
    for (int j = i + 1; j <= d; ++j) ++rank[elevated[i] < elevated[j] ? i : j];
  }
  // Those that rounding moved most are moved back until the sum is 0.
  for (int i = 0; i <= d; ++i) {
    rank[i] += excess;
    const int wrap = rank[i] < 0 ? 1 : rank[i] > d ? -1 : 0;
    rank[i] += wrap * (d + 1);
    quotient[i] += wrap;
    elevated[i] -= static_cast<Acc>(wrap * (d + 1));
  }

  Acc sorted[d + 1] = {};  // what is left of each coordinate, the largest first
  for (int i = 0; i <= d; ++i) {
    for (int r = 0; r <= d; ++r) {  // by comparing: an index that is computed costs registers
      if (rank[i] == r) sorted[r] = elevated[i] * one_of_all;
    }
  }
  for (int k = 1; k <= d; ++k) weight[k] = sorted[d - k] - sorted[d + 1 - k];
  weight[0] = 1 + sorted[d] - sorted[0];

  for (int k = 0; k <= d; ++k) {
    key[k] = static_cast<uint64_t>(k);
    for (int i = 0; i < d; ++i) {
      const int64_t q = quotient[i] - (rank[i] > d - k ? 1 : 0) + LatticeKey<d>::half;
      key[k] += static_cast<uint64_t>(q) * LatticeKey<d>::unit(i);
    }
  }
}

// The features of a pixel, about the middle of the image and of the levels so that they are small;
// but not just there, where a whole row of pixels would lie on the border between simplices.
template <int d, typename Acc>
struct PixelFeatures {
  const Acc* image;  // [d - 2, height, width] dense
  int64_t height, width;
  Acc scale[d];

  PixelFeatures(const Acc* image, int64_t height, int64_t width, double sxy, double srgb)
      : image(image), height(height), width(width) {
    for (int i = 0; i < d; ++i) {
      scale[i] = static_cast<Acc>(lattice_scale<d>(i) / (i < 2 ? sxy : srgb));
    }
  }

  FASTCV_HD void read(int64_t pixel, Acc (&scaled)[d]) const {
    const int64_t y = pixel / width, x = pixel - y * width;
    scaled[0] = (static_cast<Acc>(x - width / 2) + Acc(0.31)) * scale[0];
    scaled[1] = (static_cast<Acc>(y - height / 2) + Acc(0.17)) * scale[1];
    for (int c = 2; c < d; ++c) {
      scaled[c] = (image[(c - 2) * height * width + pixel] - Acc(127.5)) * scale[c];
    }
  }
};

}  // namespace fastcv
