// What the race detector and the host see of the scheduler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "emulator/runtime/runtime.h"

namespace fastcv::emulator {

// 0: ascending, -1: descending; any other number seeds a random order of threads and blocks.
void set_order(int64_t order);

// The first error since the last call, or "".
std::string take_error();

// The thread that runs now.
struct Running {
  bool kernel;  // false: the host's own code
  uint64_t block;
  unsigned thread;
  unsigned barrier_epoch;  // how many barriers it has passed
};
Running running();
bool on_own_stack(const void* address);
bool is_shared_memory(const void* address);

// In the race detector (race_runtime.cpp); without it, empty (no_race.cpp).
void race_launch_begins();
void race_block_begins(unsigned threads);
void race_syncwarp(unsigned first_thread, unsigned lanes);
void race_atomic(const void* address, size_t bytes, void* where);

}  // namespace fastcv::emulator
