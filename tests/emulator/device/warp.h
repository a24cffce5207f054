// Barriers and warp collectives.
#pragma once

#include <cstdint>
#include <cstring>
#include <source_location>
#include <string>
#include <type_traits>

#include "emulator/runtime/runtime.h"

#define FASTCV_SITE ::fastcv::emulator::Site site = ::fastcv::emulator::Site::current()

inline void __syncthreads(FASTCV_SITE) {
  ::fastcv::emulator::barrier("__syncthreads", false, site);
}
inline int __syncthreads_count(int predicate, FASTCV_SITE) {
  return ::fastcv::emulator::barrier("__syncthreads_count", predicate != 0, site);
}
inline int __syncthreads_or(int predicate, FASTCV_SITE) {
  return ::fastcv::emulator::barrier("__syncthreads_or", predicate != 0, site) != 0;
}
inline int __syncthreads_and(int predicate, FASTCV_SITE) {
  return ::fastcv::emulator::barrier("__syncthreads_and", predicate == 0, site) == 0;
}

inline void __syncwarp(unsigned mask = 0xffffffffu, FASTCV_SITE) {
  ::fastcv::emulator::exchange("__syncwarp", mask, 0, site);
}

// Fences order nothing here: every access is seen at once. The race detector does not know them.
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace fastcv::emulator {

inline unsigned lanes_with_true(const WarpValues& values) {
  unsigned lanes = 0;
  for (int l = 0; l < 32; ++l) {
    if ((values.lanes >> l & 1) != 0 && values.of_lane[l] != 0) lanes |= 1u << l;
  }
  return lanes;
}

// What `lane` gave to the shuffle.
template <typename T>
T shuffle(const char* name, unsigned mask, T value, int lane, int width, Site site) {
  static_assert(std::is_arithmetic_v<T> || sizeof(T) <= 4, "CUDA has no shuffle for this type");
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    fail(std::string(name) + " at " + to_string(site) + ": width must be a power of two up to 32");
  }
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const WarpValues& values = exchange(name, mask, bits, site);
  if ((values.lanes >> lane & 1) == 0) {
    fail(std::string(name) + " at " + to_string(site) + " reads lane " + std::to_string(lane) +
         ", which is inactive");
  }
  std::memcpy(&value, &values.of_lane[lane], sizeof value);
  return value;
}

}  // namespace fastcv::emulator

inline unsigned __ballot_sync(unsigned mask, int predicate, FASTCV_SITE) {
  return ::fastcv::emulator::lanes_with_true(
      ::fastcv::emulator::exchange("__ballot_sync", mask, predicate != 0, site));
}
inline int __any_sync(unsigned mask, int predicate, FASTCV_SITE) {
  return ::fastcv::emulator::lanes_with_true(
             ::fastcv::emulator::exchange("__any_sync", mask, predicate != 0, site)) != 0;
}
inline int __all_sync(unsigned mask, int predicate, FASTCV_SITE) {
  return ::fastcv::emulator::lanes_with_true(
             ::fastcv::emulator::exchange("__all_sync", mask, predicate == 0, site)) == 0;
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, FASTCV_SITE) {
  const int first = ::fastcv::emulator::current.lane & ~(width - 1);
  return ::fastcv::emulator::shuffle("__shfl_sync", mask, value, first + (source & (width - 1)),
                                     width, site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, FASTCV_SITE) {
  const int lane = ::fastcv::emulator::current.lane, first = lane & ~(width - 1);
  const int source = lane - static_cast<int>(delta);
  return ::fastcv::emulator::shuffle("__shfl_up_sync", mask, value, source < first ? lane : source,
                                     width, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, FASTCV_SITE) {
  const int lane = ::fastcv::emulator::current.lane, end = (lane & ~(width - 1)) + width;
  const int source = lane + static_cast<int>(delta);
  return ::fastcv::emulator::shuffle("__shfl_down_sync", mask, value, source < end ? source : lane,
                                     width, site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, FASTCV_SITE) {
  const int lane = ::fastcv::emulator::current.lane, end = (lane & ~(width - 1)) + width;
  const int source = lane ^ lane_mask;
  return ::fastcv::emulator::shuffle("__shfl_xor_sync", mask, value, source < end ? source : lane,
                                     width, site);
}

#undef FASTCV_SITE
