#include "emulator/runtime/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace fastcv::emulator {
namespace {

constexpr size_t stack_bytes = 128 * 1024, guard_bytes = 4096;

}  // namespace

#if !defined(FASTCV_UCONTEXT)
extern "C" void fastcv_switch_stack(void** save, void* load);
asm(R"(
.text
.globl fastcv_switch_stack
.type fastcv_switch_stack, @function
fastcv_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fastcv_switch_stack, .-fastcv_switch_stack
)");
#endif

Fiber::Fiber(void (*body)()) : body_(body) {
  void* memory = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, guard_bytes, PROT_NONE);  // an overflow ends the process, not another's data
  stack_ = static_cast<unsigned char*>(memory) + guard_bytes;
  restart();
}

Fiber::~Fiber() {
  if (stack_ != nullptr) munmap(stack_ - guard_bytes, guard_bytes + stack_bytes);
}

void Fiber::restart() {
#if defined(FASTCV_UCONTEXT)
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = stack_bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, body_, 0);
#else
  // What a switch pops: six registers and the address to return to. Then the stack is as after a
  // call.
  auto top = reinterpret_cast<void**>(stack_ + stack_bytes) - 1;
  *--top = reinterpret_cast<void*>(body_);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  stack_pointer_ = top;
#endif
}

void Fiber::enter(Fiber& from) {
#if defined(FASTCV_UCONTEXT)
  swapcontext(&from.context_, &context_);
#else
  fastcv_switch_stack(&from.stack_pointer_, stack_pointer_);
#endif
}

bool Fiber::owns(const void* address) const {
  const auto a = reinterpret_cast<uintptr_t>(address), s = reinterpret_cast<uintptr_t>(stack_);
  return a - s < stack_bytes;
}

}  // namespace fastcv::emulator
