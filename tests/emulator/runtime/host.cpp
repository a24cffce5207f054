// The emulator's controls, for ctypes (build.py).
#include <string>

#include "emulator/runtime/guards.h"
#include "emulator/runtime/scheduler.h"

extern "C" void emulator_set_order(int64_t order) { fastcv::emulator::set_order(order); }

// The first error since the last call, or "". Valid until the next call.
extern "C" const char* emulator_take_error() {
  static std::string error;
  error = fastcv::emulator::take_error();
  return error.c_str();
}

// The memory has guard_bytes of 0xff before it and behind it.
extern "C" void emulator_guard(const void* data, size_t bytes, const char* name) {
  fastcv::emulator::add_guards(data, bytes, name);
}
extern "C" void emulator_forget_guards() { fastcv::emulator::remove_all_guards(); }
