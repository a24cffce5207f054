// Fibers: stacks that give way to each other where they say so. On x86-64 a switch saves the six
// registers that calls preserve; elsewhere, or with FASTCV_UCONTEXT, <ucontext.h> does it, slower.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(FASTCV_UCONTEXT)
#define FASTCV_UCONTEXT
#endif
#if defined(FASTCV_UCONTEXT)
#include <ucontext.h>
#endif

namespace fastcv::emulator {

class Fiber {
 public:
  Fiber() = default;               // the one that runs already
  explicit Fiber(void (*body)());  // begins with body() at the first switch, which must not return
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Begins anew at the next switch: what it was doing is forgotten.
  void restart();
  // Leaves `from`, which is the one that runs, for this one.
  void enter(Fiber& from);
  bool owns(const void* address) const;

 private:
  void (*body_)() = nullptr;
  unsigned char* stack_ = nullptr;
#if defined(FASTCV_UCONTEXT)
  ucontext_t context_;
#else
  void* stack_pointer_ = nullptr;
#endif
};

}  // namespace fastcv::emulator
