// What the emulated intrinsics need of the runtime. One OS thread at a time may use it.
//
// The first error ends the launch that meets it and turns every later launch into a no-op, until
// the host asks for it (host.cpp): an exception could not pass through kernels, fibers and ctypes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>

#include "emulator/device/vector_types.h"

namespace fastcv::emulator {

using Site = std::source_location;

// What threadIdx and its kin stand for in the thread that runs now.
struct Current {
  uint3 thread, block;
  dim3 block_size, grid_size;
  unsigned number;  // of the thread in its block
  unsigned lane;
};
extern Current current;

struct Launch {
  const void* kernel;
  dim3 grid, block;
  size_t shared_bytes;
};

// Runs `thread` for every thread of the grid, block after block.
void run_grid(const Launch& launch, const std::function<void()>& thread);

// Waits for the whole block; returns how many of its threads came with a true predicate.
unsigned barrier(const char* name, bool predicate, Site site);

// What the lanes of a warp gave to a collective operation; `lanes` are those that took part.
struct WarpValues {
  unsigned lanes;
  uint64_t of_lane[32];
};

// Waits for the lanes of `mask` that have not ended.
const WarpValues& exchange(const char* name, unsigned mask, uint64_t value, Site site);

// Called before each atomic operation.
void before_atomic(const void* address, size_t bytes);

void* shared_memory(const void* key, size_t bytes, const char* name);
void* dynamic_shared_memory();

// To be called by an emulated thread only, which ends here with its whole launch.
[[noreturn]] void fail(const std::string& message);
std::string to_string(const Site& site);

// A launcher's device memory, as unwritten as cudaMalloc's and with guards (guards.h).
class DeviceBuffer {
 public:
  explicit DeviceBuffer(size_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  void* data() const { return data_; }

 private:
  void* data_;
};

}  // namespace fastcv::emulator
