// Tensors read a block of elements at a time, from any strides and dtype, in cache: what an
// elementwise op needs in place of contiguous copies of its arguments. Included after
// common/cpu/foreach_isa.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace fastcv {

// Elements of `t`, in row-major order of its indices, as Acc. `t` outlives the reader.
template <typename Acc>
class BlockReader {
 public:
  explicit BlockReader(const at::Tensor& t) : data_(static_cast<const char*>(t.const_data_ptr())) {
    // Neighbouring dimensions that are one in memory become one: runs get long.
    for (int64_t d = 0; d < t.dim(); ++d) {
      const int64_t size = t.size(d), stride = t.stride(d);
      if (size == 1) continue;
      if (!sizes_.empty() && strides_.back() == size * stride) {
        sizes_.back() *= size;
        strides_.back() = stride;
      } else {
        sizes_.push_back(size);
        strides_.push_back(stride);
      }
    }
    if (sizes_.empty()) {
      sizes_.push_back(1);
      strides_.push_back(1);
    }
    direct_ = t.scalar_type() == c10::CppTypeToScalarType<Acc>::value && sizes_.size() == 1 &&
              strides_[0] == 1;
    element_bytes_ = t.element_size();
    copy_ = copier(t.scalar_type());
  }

  // Elements [begin, begin + n): where they lie, or copied to `buffer`.
  const Acc* read(int64_t begin, int64_t n, Acc* buffer) const {
    if (direct_) return reinterpret_cast<const Acc*>(data_) + begin;
    const int dims = static_cast<int>(sizes_.size());
    std::vector<int64_t> index(dims);
    int64_t offset = 0;
    for (int d = dims - 1; d >= 0; --d) {
      index[d] = begin % sizes_[d];
      begin /= sizes_[d];
      offset += index[d] * strides_[d];
    }
    for (Acc* out = buffer; n > 0;) {
      const int64_t run = std::min(n, sizes_[dims - 1] - index[dims - 1]);
      copy_(data_ + offset * element_bytes_, strides_[dims - 1], run, out);
      out += run;
      n -= run;
      advance(index, offset, run);
    }
    return buffer;
  }

 private:
  using Copy = void (*)(const char*, int64_t stride, int64_t n, Acc* out);

  void advance(std::vector<int64_t>& index, int64_t& offset, int64_t run) const {
    int d = static_cast<int>(sizes_.size()) - 1;
    index[d] += run;
    offset += run * strides_[d];
    for (; d > 0 && index[d] == sizes_[d]; --d) {
      index[d] = 0;
      ++index[d - 1];
      offset += strides_[d - 1] - sizes_[d] * strides_[d];
    }
  }

  template <typename T>
  static void copy(const char* data, int64_t stride, int64_t n, Acc* out) {
    const T* p = reinterpret_cast<const T*>(data);
    if (stride == 0) {
      std::fill_n(out, n, static_cast<Acc>(*p));
    } else if (stride == 1) {
      FASTCV_ISA_CALL(widen<T, Acc>)(p, n, out);
    } else {
      for (int64_t i = 0; i < n; ++i) out[i] = static_cast<Acc>(p[i * stride]);
    }
  }

  static Copy copier(at::ScalarType dtype) {
    switch (dtype) {
      case at::kDouble:
        return copy<double>;
      case at::kFloat:
        return copy<float>;
      case at::kHalf:
        return copy<c10::Half>;
      case at::kBFloat16:
        return copy<c10::BFloat16>;
      case at::kBool:
        return copy<bool>;
      case at::kByte:
        return copy<uint8_t>;
      case at::kChar:
        return copy<int8_t>;
      case at::kShort:
        return copy<int16_t>;
      case at::kInt:
        return copy<int32_t>;
      default:
        return copy<int64_t>;
    }
  }

  const char* data_;
  std::vector<int64_t> sizes_, strides_;
  bool direct_;
  int64_t element_bytes_;
  Copy copy_;
};

}  // namespace fastcv
