#include "emulator/runtime/guards.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "emulator/runtime/runtime.h"

namespace fastcv::emulator {
namespace {

struct Guarded {
  const unsigned char* data;
  size_t bytes;
  std::string name;

  const unsigned char* end() const { return data + bytes; }
  // A byte of one of the guards, in words.
  std::string describe(const unsigned char* byte) const {
    return byte < data ? std::to_string(data - byte) + " bytes before " + name
                       : "byte " + std::to_string(byte - data) + " of " + name + ", which has " +
                             std::to_string(bytes);
  }
};
std::vector<Guarded> all;

}  // namespace

void add_guards(const void* data, size_t bytes, const std::string& name) {
  all.push_back({static_cast<const unsigned char*>(data), bytes, name});
}

void remove_guards(const void* data) {
  std::erase_if(all, [data](const Guarded& g) { return g.data == data; });
}

void remove_all_guards() { all.clear(); }

void* allocate_guarded(size_t bytes, const std::string& name) {
  const size_t whole = (bytes + 2 * guard_bytes + 255) / 256 * 256;
  auto memory = static_cast<unsigned char*>(std::aligned_alloc(256, whole));
  std::memset(memory, unwritten, whole);
  add_guards(memory + guard_bytes, bytes, name);
  return memory + guard_bytes;
}

void free_guarded(void* data) {
  if (data == nullptr) return;
  remove_guards(data);
  std::free(static_cast<unsigned char*>(data) - guard_bytes);
}

std::string touched_guard(const void* address, size_t bytes) {
  const auto first = static_cast<const unsigned char*>(address), last = first + bytes - 1;
  for (const Guarded& g : all) {
    if (last < g.data - guard_bytes || first >= g.end() + guard_bytes) continue;
    if (first < g.data) return g.describe(first);
    if (last >= g.end()) return g.describe(std::max(first, g.end()));
  }
  return "";
}

std::string written_guard() {
  for (const Guarded& g : all) {
    for (const unsigned char* begin : {g.data - guard_bytes, g.end()}) {
      const auto end = begin + guard_bytes;
      const auto changed = std::find_if(begin, end, [](auto byte) { return byte != unwritten; });
      if (changed != end) return g.describe(changed);
    }
  }
  return "";
}

DeviceBuffer::DeviceBuffer(size_t bytes) : data_(allocate_guarded(bytes, "the device buffer")) {}
DeviceBuffer::~DeviceBuffer() { free_guarded(data_); }

}  // namespace fastcv::emulator
