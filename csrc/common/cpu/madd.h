// Included by foreach_isa.h, once per instruction set.
namespace fastcv::FASTCV_ISA {

inline float madd(float a, float b, float c) {
#if defined(FASTCV_ISA_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

inline double madd(double a, double b, double c) {
#if defined(FASTCV_ISA_FMA)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

}  // namespace fastcv::FASTCV_ISA
