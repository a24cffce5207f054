// Runs a grid: block after block, a fiber for each thread. A thread runs until it ends, or until it
// waits for its block or its warp; then the next in the queue goes on.
#include "emulator/runtime/scheduler.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "emulator/runtime/fiber.h"
#include "emulator/runtime/guards.h"

namespace fastcv::emulator {

Current current;

namespace {

constexpr size_t max_static_shared = 48 * 1024, max_dynamic_shared = 227 * 1024;

enum class State { ready, at_barrier, in_warp, ended };

struct Thread {
  State state;
  Current as_current;
  Fiber* fiber;
  const char* waits_in;  // the name of the barrier or collective
  Site site;
  bool predicate;
  unsigned mask;
  uint64_t value;
  WarpValues received;
  unsigned barrier_epoch;
};

struct SharedVariable {
  const void* key;
  void* memory;
  size_t bytes;
};

struct Scheduler {
  Fiber host;
  std::vector<std::unique_ptr<Fiber>> fibers;  // of all sizes of blocks so far
  std::vector<Fiber*> idle;
  std::vector<Thread> threads;
  std::vector<unsigned> queue;
  size_t next = 0;
  std::vector<SharedVariable> shared;
  size_t shared_bytes = 0;
  void* dynamic = nullptr;
  size_t dynamic_bytes = 0;
  const std::function<void()>* body = nullptr;
  Thread* now = nullptr;
  Fiber* on = nullptr;  // the fiber that runs
  uint64_t block = 0;
  unsigned ended = 0, barrier_true = 0;
  int64_t order = 0;
  std::mt19937_64 random;
  std::string error;
};
Scheduler s;

void thread_main();

std::string describe(const Thread& t) {
  return std::string(t.waits_in) + " at " + to_string(t.site) + " (thread " +
         std::to_string(t.as_current.number) + ")";
}

void put_in_queue(unsigned thread) { s.queue.push_back(thread); }

// The thread to run next, or null when none can.
Thread* pick() {
  if (s.next == s.queue.size()) {
    s.queue.clear();
    s.next = 0;
    return nullptr;
  }
  if (s.order > 0) {
    std::swap(s.queue[s.next], s.queue[s.next + s.random() % (s.queue.size() - s.next)]);
  }
  return &s.threads[s.queue[s.next++]];
}

void go_to(Fiber* fiber) {
  Fiber* from = s.on;
  s.on = fiber;
  if (fiber != from) fiber->enter(*from);
}

// Leaves the running thread for another, or for the host when none can run.
void give_way() {
  Thread* t = pick();
  s.now = t;
  if (t == nullptr) return go_to(&s.host);
  if (t->fiber == nullptr) {
    if (s.idle.empty()) {
      s.fibers.push_back(std::make_unique<Fiber>(thread_main));
      s.idle.push_back(s.fibers.back().get());
    }
    t->fiber = s.idle.back();
    s.idle.pop_back();
  }
  current = t->as_current;
  go_to(t->fiber);
}

Thread* warp_of(const Thread& t) { return &s.threads[t.as_current.number / 32 * 32]; }
unsigned lanes_of_warp(const Thread& t) {
  const size_t first = t.as_current.number / 32 * 32;
  return static_cast<unsigned>(std::min<size_t>(32, s.threads.size() - first));
}

// Lets a warp go on if all lanes that `t` waits for are there. Lanes that ended are not waited for.
void try_release_warp(const Thread& t) {
  Thread* warp = warp_of(t);
  const unsigned mask = t.mask, lanes = lanes_of_warp(t);
  WarpValues values{};
  for (unsigned l = 0; l < lanes; ++l) {
    if ((mask >> l & 1) == 0 || warp[l].state == State::ended) continue;
    if (warp[l].state != State::in_warp) return;
    values.lanes |= 1u << l;
    values.of_lane[l] = warp[l].value;
  }
  for (unsigned l = 0; l < lanes; ++l) {
    if ((values.lanes >> l & 1) == 0) continue;
    if (warp[l].mask != mask || std::strcmp(warp[l].waits_in, t.waits_in) != 0 ||
        warp[l].site.line() != t.site.line()) {
      fail("a warp's lanes wait in different places: " + describe(t) + " and " + describe(warp[l]));
    }
  }
  for (unsigned l = 0; l < lanes; ++l) {
    if ((values.lanes >> l & 1) == 0) continue;
    warp[l].received = values;
    warp[l].state = State::ready;
    put_in_queue(warp[l].as_current.number);
  }
  if (std::strcmp(t.waits_in, "__syncwarp") == 0) {
    race_syncwarp(warp->as_current.number, values.lanes);
  }
}

void thread_main() {
  for (;;) {  // a fiber whose thread has ended serves another
    (*s.body)();
    Thread& t = *s.now;
    t.state = State::ended;
    ++s.ended;
    s.idle.push_back(t.fiber);
    Thread* warp = warp_of(t);
    for (unsigned l = 0; l < lanes_of_warp(t); ++l) {
      if (warp[l].state == State::in_warp) try_release_warp(warp[l]);
    }
    give_way();
  }
}

// Nothing can run: the block waits at one barrier, or for ever.
void release_barrier() {
  const Thread* first = nullptr;
  unsigned true_predicates = 0;
  for (const Thread& t : s.threads) {
    if (t.state == State::ended) continue;
    if (first == nullptr) first = &t;
    if (t.state != State::at_barrier || first->state != State::at_barrier) {
      s.error = "deadlock: " + describe(*first) + " and " + describe(t) + " wait for each other";
      return;
    }
    if (t.site.line() != first->site.line() || std::strcmp(t.waits_in, first->waits_in) != 0) {
      s.error = "divergent barrier: " + describe(*first) + " and " + describe(t);
      return;
    }
    true_predicates += t.predicate;
  }
  if (s.ended > 0) {
    s.error = "divergent barrier: " + std::to_string(s.ended) + " threads ended before " +
              describe(*first);
    return;
  }
  s.barrier_true = true_predicates;
  for (size_t i = 0; i < s.threads.size(); ++i) {
    Thread& t = s.threads[s.order < 0 ? s.threads.size() - 1 - i : i];
    t.state = State::ready;
    ++t.barrier_epoch;
    put_in_queue(t.as_current.number);
  }
}

void run_block(const Launch& launch) {
  const dim3 b = launch.block, g = launch.grid;
  const unsigned count = b.x * b.y * b.z;
  s.threads.assign(count, Thread{});
  s.queue.clear();
  s.next = 0;
  s.ended = 0;
  race_block_begins(count);
  for (const SharedVariable& v : s.shared) std::memset(v.memory, unwritten, v.bytes);
  if (s.dynamic != nullptr) std::memset(s.dynamic, unwritten, s.dynamic_bytes);
  const uint3 block = {static_cast<unsigned>(s.block % g.x),
                       static_cast<unsigned>(s.block / g.x % g.y),
                       static_cast<unsigned>(s.block / g.x / g.y)};
  for (unsigned i = 0; i < count; ++i) {
    const uint3 thread = {i % b.x, i / b.x % b.y, i / b.x / b.y};
    s.threads[i].as_current = {thread, block, b, g, i, i % 32};
    put_in_queue(s.order < 0 ? count - 1 - i : i);
  }
  while (s.ended < count && s.error.empty()) {
    give_way();
    if (s.ended < count && s.error.empty()) release_barrier();
  }
  if (!s.error.empty()) return;
  if (const std::string written = written_guard(); !written.empty()) {
    s.error = "out of bounds: block " + std::to_string(s.block) + " wrote " + written;
  }
}

void forget_block() {
  s.now = nullptr;
  s.idle.clear();
  for (const auto& fiber : s.fibers) {
    fiber->restart();
    s.idle.push_back(fiber.get());
  }
}

std::string refusal(const Launch& launch) {
  const dim3 b = launch.block, g = launch.grid;
  const uint64_t threads = uint64_t{b.x} * b.y * b.z;
  if (threads == 0 || threads > 1024 || b.x > 1024 || b.y > 1024 || b.z > 64) {
    return "a block must have 1 to 1024 threads, got " + std::to_string(b.x) + " x " +
           std::to_string(b.y) + " x " + std::to_string(b.z);
  }
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535) {
    return "a grid must have 1 to 2^31 - 1 x 65535 x 65535 blocks, got " + std::to_string(g.x) +
           " x " + std::to_string(g.y) + " x " + std::to_string(g.z);
  }
  if (launch.shared_bytes > max_dynamic_shared) {
    return "at most 227 KiB of dynamic shared memory, got " + std::to_string(launch.shared_bytes);
  }
  return "";
}

}  // namespace

void run_grid(const Launch& launch, const std::function<void()>& thread) {
  if (!s.error.empty()) return;
  s.error = refusal(launch);
  if (!s.error.empty()) return;
  race_launch_begins();
  s.body = &thread;
  s.on = &s.host;
  s.random.seed(static_cast<uint64_t>(s.order));
  s.dynamic_bytes = launch.shared_bytes;
  s.dynamic = launch.shared_bytes > 0
                  ? allocate_guarded(launch.shared_bytes, "dynamic shared memory")
                  : nullptr;
  std::vector<uint64_t> blocks(uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z);
  std::iota(blocks.begin(), blocks.end(), 0);
  if (s.order < 0) std::reverse(blocks.begin(), blocks.end());
  if (s.order > 0) std::shuffle(blocks.begin(), blocks.end(), s.random);
  for (const uint64_t block : blocks) {
    s.block = block;
    run_block(launch);
    if (!s.error.empty()) break;
  }
  if (!s.error.empty()) forget_block();
  s.now = nullptr;
  for (const SharedVariable& v : s.shared) free_guarded(v.memory);
  s.shared.clear();
  s.shared_bytes = 0;
  free_guarded(s.dynamic);
  s.dynamic = nullptr;
}

unsigned barrier(const char* name, bool predicate, Site site) {
  Thread& t = *s.now;
  t.state = State::at_barrier;
  t.waits_in = name;
  t.site = site;
  t.predicate = predicate;
  give_way();
  return s.barrier_true;
}

const WarpValues& exchange(const char* name, unsigned mask, uint64_t value, Site site) {
  Thread& t = *s.now;
  t.waits_in = name;
  t.site = site;
  if ((mask >> t.as_current.lane & 1) == 0) {
    fail(describe(t) + ": the calling lane is not in its mask");
  }
  t.state = State::in_warp;
  t.mask = mask;
  t.value = value;
  try_release_warp(t);
  give_way();
  return t.received;
}

void before_atomic(const void* address, size_t bytes) {
  race_atomic(address, bytes, __builtin_return_address(0));
}

void* shared_memory(const void* key, size_t bytes, const char* name) {
  for (const SharedVariable& v : s.shared) {
    if (v.key == key) return v.memory;
  }
  s.shared_bytes += bytes;
  if (s.shared_bytes > max_static_shared) {
    fail(std::string("with ") + name + ", static shared memory is " +
         std::to_string(s.shared_bytes) + " bytes: at most 48 KiB");
  }
  void* memory = allocate_guarded(bytes, std::string("shared ") + name);
  s.shared.push_back({key, memory, bytes});
  return memory;
}

void* dynamic_shared_memory() { return s.dynamic; }

void fail(const std::string& message) {
  s.error = message;
  if (s.now != nullptr) {
    const uint3 b = current.block, t = current.thread;
    s.error += " [block (" + std::to_string(b.x) + ", " + std::to_string(b.y) + ", " +
               std::to_string(b.z) + "), thread (" + std::to_string(t.x) + ", " +
               std::to_string(t.y) + ", " + std::to_string(t.z) + ")]";
  }
  go_to(&s.host);
  std::abort();  // nobody comes back to a failed thread
}

std::string to_string(const Site& site) {
  const std::string path = site.file_name();
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(site.line());
}

void set_order(int64_t order) { s.order = order; }

std::string take_error() { return std::exchange(s.error, ""); }

Running running() {
  if (s.now == nullptr || s.on == &s.host) return {};
  return {true, s.block, s.now->as_current.number, s.now->barrier_epoch};
}

bool on_own_stack(const void* address) { return s.on != nullptr && s.on->owns(address); }

bool is_shared_memory(const void* address) {
  const auto a = reinterpret_cast<uintptr_t>(address);
  if (a - reinterpret_cast<uintptr_t>(s.dynamic) < s.dynamic_bytes) return true;
  for (const SharedVariable& v : s.shared) {
    if (a - reinterpret_cast<uintptr_t>(v.memory) < v.bytes) return true;
  }
  return false;
}

}  // namespace fastcv::emulator
