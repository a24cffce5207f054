// Finds races: two threads that touch the same bytes, at least one of them writing, with nothing
// that orders them. Within a block barriers and warp collectives do; between blocks nothing but
// atomics does.
//
// The kernels are compiled with -fsanitize=thread, which calls a function at every access to
// memory; the functions below take the place of ThreadSanitizer's own library. For each word of
// memory they keep the last plain write, the last atomic and the last two readers.
#include <dlfcn.h>

#include <cstdio>
#include <unordered_map>

#include "emulator/runtime/scheduler.h"

namespace fastcv::emulator {
namespace {

enum class Kind { read, write, atomic };

struct Access {
  Running by;
  uint8_t bytes = 0;  // of the word
  void* where = nullptr;
};

struct Word {
  Access write, atomic, reader[2];
};

std::unordered_map<uintptr_t, Word>& words() {
  static std::unordered_map<uintptr_t, Word> all;
  return all;
}

bool races(const Access& a, const Access& b, bool shared) {
  if (a.bytes == 0 || (a.bytes & b.bytes) == 0) return false;
  if (a.by.block != b.by.block) return !shared;  // shared memory is another's by then
  if (a.by.thread == b.by.thread || a.by.barrier_epoch != b.by.barrier_epoch) return false;
  return a.by.thread / 32 != b.by.thread / 32 || a.by.warp_epoch == b.by.warp_epoch;
}

// "library+0x1234", which build.py turns into a line of source.
std::string place(void* address) {
  Dl_info info{};
  dladdr(address, &info);
  char text[64];
  const auto offset = static_cast<char*>(address) - static_cast<char*>(info.dli_fbase);
  std::snprintf(text, sizeof text, "+0x%lx", static_cast<unsigned long>(offset - 1));
  return text;
}

void check(const char* what, const Access& before, const Access& now, bool shared) {
  if (!races(before, now, shared)) return;
  fail(std::string("race: ") + what + " by thread " + std::to_string(before.by.thread) +
       " of block " + std::to_string(before.by.block) + " at " + place(before.where) +
       " and thread " + std::to_string(now.by.thread) + " of block " +
       std::to_string(now.by.block) + " at " + place(now.where));
}

void access(const void* address, size_t bytes, Kind kind, void* where) {
  const Running by = running();
  if (!by.kernel || on_own_stack(address)) return;
  const auto first = reinterpret_cast<uintptr_t>(address);
  const auto runtime = reinterpret_cast<uintptr_t>(&current);
  if (first - runtime < sizeof current) return;
  const bool shared = is_shared_memory(address);
  for (uintptr_t w = first / 4; w <= (first + bytes - 1) / 4; ++w) {
    Access now{by, 0, where};
    for (unsigned i = 0; i < 4; ++i) {
      if (w * 4 + i >= first && w * 4 + i < first + bytes) now.bytes |= 1 << i;
    }
    Word& word = words()[w];
    const bool writes = kind != Kind::read;
    check(writes ? "a write and a write" : "a write and a read", word.write, now, shared);
    if (kind != Kind::atomic) check("an atomic and a plain access", word.atomic, now, shared);
    if (writes) {
      for (const Access& r : word.reader) check("a read and a write", r, now, shared);
    }
    if (kind == Kind::write) {
      word.write = now;
    } else if (kind == Kind::atomic) {
      word.atomic = now;
    } else {
      const Running& last = word.reader[0].by;
      if (word.reader[0].bytes != 0 && (last.thread != by.thread || last.block != by.block)) {
        word.reader[1] = word.reader[0];
      }
      word.reader[0] = now;
    }
  }
}

}  // namespace

void race_launch_begins() { words().clear(); }  // launches of a stream follow each other

void race_atomic(const void* address, size_t bytes, void* where) {
  access(address, bytes, Kind::atomic, where);
}

}  // namespace fastcv::emulator

using fastcv::emulator::access;
using fastcv::emulator::Kind;

#define CALLER __builtin_return_address(0)
#define ACCESSES(n)                                                              \
  void __tsan_read##n(void* p) { access(p, n, Kind::read, CALLER); }             \
  void __tsan_write##n(void* p) { access(p, n, Kind::write, CALLER); }           \
  void __tsan_unaligned_read##n(void* p) { access(p, n, Kind::read, CALLER); }   \
  void __tsan_unaligned_write##n(void* p) { access(p, n, Kind::write, CALLER); } \
  void __tsan_volatile_read##n(void* p) { access(p, n, Kind::read, CALLER); }    \
  void __tsan_volatile_write##n(void* p) { access(p, n, Kind::write, CALLER); }

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
