// COCO's run lengths of a mask, from the places where its pixels change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fastcv {

// Pixels are numbered down the columns, one column after the other.
class CocoRuns {
 public:
  // A run of pixels begins or ends: in turn, at rising places. A run that begins where the last one
  // ended goes on.
  void change_at(int64_t pixel) {
    if (!changes_.empty() && changes_.back() == pixel) {
      changes_.pop_back();
    } else {
      changes_.push_back(pixel);
    }
  }

  // The compressed counts of a mask with so many pixels.
  std::string counts(int64_t pixels) const {
    std::string text;
    int64_t begin = 0, before[2] = {0, 0};
    size_t i = 0;
    const auto append = [&](int64_t end) {
      const int64_t run = end - begin;
      append_number(i > 2 ? run - before[i % 2] : run, text);
      before[i++ % 2] = run;
      begin = end;
    };
    for (const int64_t change : changes_) {
      if (change < pixels) append(change);
    }
    append(pixels);
    return text;
  }

 private:
  // 5 bits a character, the lowest first; bit 5 says that there are more. The last one's sign bit,
  // bit 4, goes on for ever.
  static void append_number(int64_t number, std::string& text) {
    bool more = true;
    while (more) {
      int64_t bits = number & 31;
      number >>= 5;
      more = number != (bits & 16 ? -1 : 0);
      text.push_back(static_cast<char>((bits | (more ? 32 : 0)) + 48));
    }
  }

  std::vector<int64_t> changes_;
};

}  // namespace fastcv
