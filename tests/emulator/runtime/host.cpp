// The emulator's controls, for ctypes (build.py).
#include <string>

#include "emulator/runtime/scheduler.h"

extern "C" void emulator_set_order(int64_t order) { fastcv::emulator::set_order(order); }

// The first error since the last call, or "". Valid until the next call.
extern "C" const char* emulator_take_error() {
  static std::string error;
  error = fastcv::emulator::take_error();
  return error.c_str();
}
