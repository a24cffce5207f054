// The lattice of one image: which vertices each pixel lies between, and the other way round.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/cpu/huge_pages.h"
#include "dense_crf/lattice_point.h"

namespace fastcv {

// A pixel's part in a vertex's sum.
template <typename Acc>
struct LatticeEntry {
  Acc weight;
  int32_t pixel;
};

template <typename Acc>
struct LatticeCpu {
  int corners;  // of a simplex, and axes to blur along
  int64_t pixels, vertices;
  Acc scale;                        // the kernel's weight
  Buffer<int32_t> vertex;           // [pixels, corners]
  Buffer<Acc> weight;               // [pixels, corners]
  Buffer<int32_t> neighbour;        // [corners, vertices, 2]; `vertices` where there is none
  std::vector<int64_t> begin;       // [vertices + 1]: of each vertex's entries
  Buffer<LatticeEntry<Acc>> entry;  // [pixels * corners], each vertex's in pixels' order
};

// From keys to 0, 1, 2, ... in the order of their coming.
class KeyNumbers {
 public:
  KeyNumbers() { resize(int64_t{1} << 12); }
  const std::vector<uint64_t>& keys() const { return keys_; }

  int32_t number(uint64_t key) {
    if (2 * (keys_.size() + 1) > slots_.size()) resize(2 * static_cast<int64_t>(slots_.size()));
    int32_t& slot = find(key);
    if (slot < 0) {
      slot = static_cast<int32_t>(keys_.size());
      keys_.push_back(key);
    }
    return slot;
  }
  // -1 where the key never came.
  int32_t number_or_none(uint64_t key) const { return const_cast<KeyNumbers*>(this)->find(key); }

 private:
  int32_t& find(uint64_t key) {
    uint64_t at = (key * 0x9e3779b97f4a7c15u) >> shift_;
    while (slots_[at] >= 0 && keys_[slots_[at]] != key) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  void resize(int64_t size) {
    slots_.assign(size, -1);
    shift_ = 64;
    while (size > 1) size /= 2, --shift_;
    for (size_t i = 0; i < keys_.size(); ++i) find(keys_[i]) = static_cast<int32_t>(i);
  }

  std::vector<uint64_t> keys_;
  std::vector<int32_t> slots_;
  int shift_ = 0;
};

// The vertices and barycentric coordinates of all pixels. A key is looked up by one thread: the
// numbers are then in the pixels' order, in which neighbours lie together, and always the same.
template <int d, typename Acc>
KeyNumbers number_vertices(const PixelFeatures<d, Acc>& features, LatticeCpu<Acc>& lattice) {
  constexpr int64_t block = 16384;
  constexpr int corners = d + 1;
  KeyNumbers numbers;
  const Buffer<uint64_t> keys(new uint64_t[block * corners]);
  uint64_t last_key[corners];
  int32_t last[corners];
  std::fill_n(last, corners, -1);
  for (int64_t start = 0; start < lattice.pixels; start += block) {
    const int64_t end = std::min(start + block, lattice.pixels);
    at::parallel_for(start, end, 1024, [&](int64_t first, int64_t stop) {
      for (int64_t p = first; p < stop; ++p) {
        Acc feature[d], weight[corners];
        uint64_t key[corners];
        features.read(p, feature);
        lattice_point<d, Acc>(feature, key, weight);
        std::copy_n(weight, corners, &lattice.weight[p * corners]);
        std::copy_n(key, corners, &keys[(p - start) * corners]);
      }
    });
    for (int64_t i = 0; i < (end - start) * corners; ++i) {
      const int corner = static_cast<int>(i % corners);
      // Beside its neighbour a pixel is often in the same simplex.
      if (last[corner] < 0 || last_key[corner] != keys[i]) {
        last_key[corner] = keys[i];
        last[corner] = numbers.number(keys[i]);
      }
      lattice.vertex[start * corners + i] = last[corner];
    }
  }
  return numbers;
}

template <typename Acc>
void sort_by_vertex(LatticeCpu<Acc>& lattice) {
  const int64_t count = lattice.pixels * lattice.corners;
  lattice.begin.assign(lattice.vertices + 1, 0);
  for (int64_t i = 0; i < count; ++i) ++lattice.begin[lattice.vertex[i] + 1];
  for (int64_t v = 0; v < lattice.vertices; ++v) lattice.begin[v + 1] += lattice.begin[v];
  std::vector<int64_t> next(lattice.begin.begin(), lattice.begin.end() - 1);
  lattice.entry = make_buffer_on_huge_pages<LatticeEntry<Acc>>(count);
  for (int64_t i = 0; i < count; ++i) {
    lattice.entry[next[lattice.vertex[i]]++] = {lattice.weight[i],
                                                static_cast<int32_t>(i / lattice.corners)};
  }
}

// The filter's row sums, of one number for each pixel.
template <typename Acc>
Buffer<Acc> row_sums(const LatticeCpu<Acc>& lattice) {
  std::vector<Acc> values(lattice.vertices + 1), other(lattice.vertices + 1);
  at::parallel_for(0, lattice.vertices, 1024, [&](int64_t first, int64_t last) {
    for (int64_t v = first; v < last; ++v) {
      for (int64_t e = lattice.begin[v]; e < lattice.begin[v + 1]; ++e) {
        values[v] += lattice.entry[e].weight;
      }
    }
  });
  for (int axis = 0; axis < lattice.corners; ++axis) {
    const int32_t* neighbour = &lattice.neighbour[axis * lattice.vertices * 2];
    for (int64_t v = 0; v < lattice.vertices; ++v) {
      other[v] = values[v] + Acc(0.5) * (values[neighbour[2 * v]] + values[neighbour[2 * v + 1]]);
    }
    std::swap(values, other);
  }
  Buffer<Acc> sums = make_buffer_on_huge_pages<Acc>(lattice.pixels);
  at::parallel_for(0, lattice.pixels, 4096, [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      sums[p] = 0;
      for (int64_t i = p * lattice.corners; i < (p + 1) * lattice.corners; ++i) {
        sums[p] += lattice.weight[i] * values[lattice.vertex[i]];
      }
    }
  });
  return sums;
}

// Weights such that the filter becomes k[i, j] / sqrt(k[i].sum() * k[j].sum()).
template <typename Acc>
void normalize(LatticeCpu<Acc>& lattice) {
  const Buffer<Acc> factor = row_sums(lattice);
  at::parallel_for(0, lattice.pixels, 4096, [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      factor[p] = 1 / std::sqrt(factor[p]);
      for (int k = 0; k < lattice.corners; ++k)
        lattice.weight[p * lattice.corners + k] *= factor[p];
    }
  });
  at::parallel_for(0, lattice.pixels * lattice.corners, 65536, [&](int64_t first, int64_t last) {
    for (int64_t e = first; e < last; ++e) {
      lattice.entry[e].weight *= factor[lattice.entry[e].pixel];
    }
  });
}

template <int d, typename Acc>
LatticeCpu<Acc> make_lattice(const PixelFeatures<d, Acc>& features, Acc scale) {
  LatticeCpu<Acc> lattice{d + 1, features.height * features.width, 0, scale, {}, {}, {}, {}, {}};
  lattice.vertex = make_buffer_on_huge_pages<int32_t>(lattice.pixels * (d + 1));
  lattice.weight = make_buffer_on_huge_pages<Acc>(lattice.pixels * (d + 1));
  const KeyNumbers numbers = number_vertices(features, lattice);
  const std::vector<uint64_t>& keys = numbers.keys();
  lattice.vertices = static_cast<int64_t>(keys.size());
  lattice.neighbour = make_buffer_on_huge_pages<int32_t>((d + 1) * lattice.vertices * 2);
  const auto number_of = [&](uint64_t key) {
    const int32_t number = numbers.number_or_none(key);
    return number < 0 ? static_cast<int32_t>(lattice.vertices) : number;
  };
  at::parallel_for(0, lattice.vertices, 1024, [&](int64_t first, int64_t last) {
    for (int axis = 0; axis <= d; ++axis) {
      for (int64_t v = first; v < last; ++v) {
        int32_t* out = &lattice.neighbour[(axis * lattice.vertices + v) * 2];
        out[0] = number_of(LatticeKey<d>::next(keys[v], axis));
        out[1] = number_of(LatticeKey<d>::previous(keys[v], axis));
      }
    }
  });
  sort_by_vertex(lattice);
  return lattice;
}

}  // namespace fastcv
