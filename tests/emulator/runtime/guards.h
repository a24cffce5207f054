// Guards: bytes before and behind a piece of memory that no kernel may touch. Writes to them show
// at the end of the block or the launch; the race detector sees reads too, and where they are.
#pragma once

#include <cstddef>
#include <string>

namespace fastcv::emulator {

constexpr size_t guard_bytes = 256;
constexpr unsigned char unwritten = 0xff;  // NaN in every floating type, and no index

// `data` has guard_bytes of `unwritten` before it and behind it.
void add_guards(const void* data, size_t bytes, const std::string& name);
void remove_guards(const void* data);
void remove_all_guards();

// Memory of a guard's name and filled with `unwritten`; free_guarded takes both back.
void* allocate_guarded(size_t bytes, const std::string& name);
void free_guarded(void* data);

// What of a guard the bytes touch, or "".
std::string touched_guard(const void* address, size_t bytes);
// The first guard that was written to, or "".
std::string written_guard();

}  // namespace fastcv::emulator
