// Included by foreach_isa.h, once per instruction set: vectors of its register width.
//   vec<float> sum = broadcast(0.0f);
//   sum = madd(broadcast(weight), load<float>(p), sum);   // p may point to half or bfloat16
//   store<float>(q, sum);
namespace fastcv::FASTCV_ISA {

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(FASTCV_VECTOR_BYTES)));
};
template <typename T>
using vec = typename VectorOf<T>::type;

template <typename T>
inline constexpr int lanes = FASTCV_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <typename T>
inline vec<T> broadcast(T x) {
  return x - vec<T>{};  // x, and compilers know: x + 0 would be 0 for x = -0
}

inline vec<float> madd(vec<float> a, vec<float> b, vec<float> c) {
#if FASTCV_VECTOR_BYTES == 64
  return (vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif FASTCV_VECTOR_BYTES == 32
  return (vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

inline vec<double> madd(vec<double> a, vec<double> b, vec<double> c) {
#if FASTCV_VECTOR_BYTES == 64
  return (vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif FASTCV_VECTOR_BYTES == 32
  return (vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  return (vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

// lanes<Acc> elements from p, as Acc.
template <typename Acc, typename T>
inline vec<Acc> load(const T* p) {
  if constexpr (std::is_same_v<T, Acc>) {
    vec<Acc> v;
    std::memcpy(&v, p, sizeof v);
    return v;
  } else if constexpr (std::is_same_v<T, c10::BFloat16>) {  // the upper half of a float
    typedef uint16_t narrow __attribute__((vector_size(FASTCV_VECTOR_BYTES / 2)));
    typedef uint32_t wide __attribute__((vector_size(FASTCV_VECTOR_BYTES)));
    narrow v;
    std::memcpy(&v, p, sizeof v);
    return (vec<Acc>)(__builtin_convertvector(v, wide) << 16);
  } else {
#if FASTCV_VECTOR_BYTES == 64
    return (vec<float>)_mm512_maskz_cvtph_ps(
        0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif FASTCV_VECTOR_BYTES == 32
    return (vec<float>)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
    vec<Acc> v;
    for (int i = 0; i < lanes<Acc>; ++i) v[i] = static_cast<Acc>(p[i]);
    return v;
#endif
  }
}

// lanes<Acc> elements to p, rounded to T.
template <typename Acc, typename T>
inline void store(T* p, vec<Acc> v) {
  if constexpr (std::is_same_v<T, Acc>) {
    std::memcpy(p, &v, sizeof v);
  } else if constexpr (std::is_same_v<T, c10::BFloat16>) {
    typedef uint16_t narrow __attribute__((vector_size(FASTCV_VECTOR_BYTES / 2)));
    typedef uint32_t wide __attribute__((vector_size(FASTCV_VECTOR_BYTES)));
    const wide bits = (wide)v;
    const wide rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;  // to nearest, ties to even
    const wide is_nan = (wide)(v != v);
    const narrow out = __builtin_convertvector((rounded & ~is_nan) | (0x7fc0u & is_nan), narrow);
    std::memcpy(p, &out, sizeof out);
  } else {
#if FASTCV_VECTOR_BYTES == 64
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_maskz_cvtps_ph(0xffff, (__m512)v, _MM_FROUND_TO_NEAREST_INT));
#elif FASTCV_VECTOR_BYTES == 32
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
#else
    for (int i = 0; i < lanes<Acc>; ++i) p[i] = static_cast<T>(v[i]);
#endif
  }
}

// Elements of a and b in turn, from element `half` of each.
template <int half, typename V, size_t... i>
inline V zip(V a, V b, std::index_sequence<i...>) {
  return __builtin_shufflevector(a, b, static_cast<int>(half + i / 2 + i % 2 * sizeof...(i))...);
}

// Transposes the square matrix of these rows: log2(lanes) perfect shuffles.
template <typename V, size_t n>
inline void transpose(V (&rows)[n]) {
  constexpr auto all = std::make_index_sequence<n>();
  for (size_t done = 1; done < n; done *= 2) {
    V shuffled[n];
    for (size_t i = 0; i < n / 2; ++i) {
      shuffled[2 * i] = zip<0>(rows[i], rows[i + n / 2], all);
      shuffled[2 * i + 1] = zip<n / 2>(rows[i], rows[i + n / 2], all);
    }
    for (size_t i = 0; i < n; ++i) rows[i] = shuffled[i];
  }
}

}  // namespace fastcv::FASTCV_ISA
