// Finds races: two threads that touch the same byte, at least one of them writing, with nothing
// that orders them. Within a block barriers do, and within a warp __syncwarp; shuffles and votes
// pass values but promise nothing about memory. Between blocks nothing does.
//
// The kernels are compiled with -fsanitize=thread, which calls a function at every access to
// memory; the functions below take the place of ThreadSanitizer's own library.
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <unordered_map>
#include <vector>

#include "emulator/runtime/guards.h"
#include "emulator/runtime/scheduler.h"

namespace fastcv::emulator {
namespace {

enum class Kind { read, write, atomic };

struct Access {
  const void* where = nullptr;  // null: none
  uint32_t block = 0, epoch = 0, clock = 0;
  uint16_t thread = 0;
};

// What is remembered of accesses that do not race with each other: reads, or atomics. Two threads
// of the block, for one of them may be the thread that comes next, and one of another block.
struct Recent {
  Access last, other_thread, other_block;

  void add(const Access& a) {
    if (last.where != nullptr && last.block != a.block) {
      other_block = last;
      other_thread = {};
    } else if (last.where != nullptr && last.thread != a.thread) {
      other_thread = last;
    }
    last = a;
  }
};

struct Byte {
  Access write;
  Recent reads, atomics;
};

constexpr uintptr_t page_bytes = 64;
using Page = std::array<Byte, page_bytes>;
std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages;

uintptr_t last_page = 0;  // mostly the next access's too
Page* at_last_page = nullptr;

Byte& byte_at(uintptr_t address) {
  if (at_last_page == nullptr || last_page != address / page_bytes) {
    last_page = address / page_bytes;
    auto& page = pages[last_page];
    if (page == nullptr) page = std::make_unique<Page>();
    at_last_page = page.get();
  }
  return (*at_last_page)[address % page_bytes];
}

// known[t][l]: up to which of its own steps lane l's accesses are ordered before what thread t of
// the same warp does now. A step ends at a __syncwarp.
using Clocks = std::array<uint32_t, 32>;
std::vector<Clocks> known;

bool ordered(const Access& before, const Access& now, bool shared) {
  if (before.block != now.block) return shared;  // then it was another block's shared memory
  if (before.thread == now.thread || before.epoch < now.epoch) return true;
  return before.thread / 32 == now.thread / 32 &&
         before.clock <= known[now.thread][before.thread % 32];
}

// "+0x1234", which build.py turns into a line of source.
std::string place(const void* address) {
  Dl_info info{};
  dladdr(address, &info);
  const auto offset = static_cast<const char*>(address) - static_cast<char*>(info.dli_fbase);
  char text[32];
  std::snprintf(text, sizeof text, "+0x%lx", static_cast<unsigned long>(offset - 1));
  return text;
}

std::string describe(const Access& a) {
  return "thread " + std::to_string(a.thread) + " of block " + std::to_string(a.block) + " at " +
         place(a.where);
}

struct Check {
  const Access& now;
  bool shared;

  void operator()(const char* what, const Access& before) const {
    if (before.where == nullptr || ordered(before, now, shared)) return;
    fail(std::string("race: ") + what + " by " + describe(before) + " and " + describe(now));
  }
  void operator()(const char* what, const Recent& before) const {
    (*this)(what, before.last);
    (*this)(what, before.other_thread);
    (*this)(what, before.other_block);
  }
};

void access(const void* address, size_t bytes, Kind kind, const void* where) {
  const Running by = running();
  if (!by.kernel || on_own_stack(address)) return;
  const auto first = reinterpret_cast<uintptr_t>(address);
  if (first - reinterpret_cast<uintptr_t>(&current) < sizeof current) return;
  if (const std::string trespass = touched_guard(address, bytes); !trespass.empty()) {
    fail("out of bounds: " + trespass + " at " + place(where));
  }
  const Access now{where, static_cast<uint32_t>(by.block), by.barrier_epoch,
                   known[by.thread][by.thread % 32], static_cast<uint16_t>(by.thread)};
  const Check check{now, is_shared_memory(address)};
  for (size_t i = 0; i < bytes; ++i) {
    Byte& byte = byte_at(first + i);
    switch (kind) {
      case Kind::read:
        check("a write and a read", byte.write);
        check("an atomic and a plain read", byte.atomics);
        byte.reads.add(now);
        break;
      case Kind::write:
        check("a write and a write", byte.write);
        check("an atomic and a plain write", byte.atomics);
        check("a read and a write", byte.reads);
        byte.write = now;
        break;
      case Kind::atomic:
        check("a plain write and an atomic", byte.write);
        check("a plain read and an atomic", byte.reads);
        byte.atomics.add(now);
        break;
    }
  }
}

// An access that the compiler takes to be aligned, as a vector load is: on the device it must be.
void aligned_access(const void* address, size_t bytes, Kind kind, const void* where) {
  if (running().kernel && reinterpret_cast<uintptr_t>(address) % bytes != 0) {
    fail("misaligned access of " + std::to_string(bytes) + " bytes at " + place(where));
  }
  access(address, bytes, kind, where);
}

}  // namespace

void race_launch_begins() {  // launches of a stream follow each other
  pages.clear();
  at_last_page = nullptr;
}

void race_block_begins(unsigned threads) {
  known.assign(threads, Clocks{});
  for (unsigned t = 0; t < threads; ++t) known[t][t % 32] = 1;
}

void race_syncwarp(unsigned first_thread, unsigned lanes) {
  Clocks all{};
  for (unsigned l = 0; l < 32; ++l) {
    if ((lanes >> l & 1) == 0) continue;
    const Clocks& of_lane = known[first_thread + l];
    for (int i = 0; i < 32; ++i) all[i] = std::max(all[i], of_lane[i]);
  }
  for (unsigned l = 0; l < 32; ++l) {
    if ((lanes >> l & 1) == 0) continue;
    known[first_thread + l] = all;
    ++known[first_thread + l][l];
  }
}

void race_atomic(const void* address, size_t bytes, void* where) {
  aligned_access(address, bytes, Kind::atomic, where);
}

}  // namespace fastcv::emulator

using fastcv::emulator::access;
using fastcv::emulator::aligned_access;
using fastcv::emulator::Kind;

#define CALLER __builtin_return_address(0)
#define ACCESSES(n)                                                                   \
  void __tsan_read##n(void* p) { aligned_access(p, n, Kind::read, CALLER); }          \
  void __tsan_write##n(void* p) { aligned_access(p, n, Kind::write, CALLER); }        \
  void __tsan_unaligned_read##n(void* p) { access(p, n, Kind::read, CALLER); }        \
  void __tsan_unaligned_write##n(void* p) { access(p, n, Kind::write, CALLER); }      \
  void __tsan_volatile_read##n(void* p) { aligned_access(p, n, Kind::read, CALLER); } \
  void __tsan_volatile_write##n(void* p) { aligned_access(p, n, Kind::write, CALLER); }

extern "C" {
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void* p, size_t n) { access(p, n, Kind::read, CALLER); }
void __tsan_write_range(void* p, size_t n) { access(p, n, Kind::write, CALLER); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
// Guards of function-local statics, in the host's code.
unsigned char __tsan_atomic8_load(const unsigned char* p, int) { return *p; }
}
