// Compiled once per instruction set (common/cpu/foreach_isa.h): plain loops that the compiler
// vectorises.
namespace fastcv::FASTCV_ISA {

template <typename T>
void identity(const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i];
}

}  // namespace fastcv::FASTCV_ISA
