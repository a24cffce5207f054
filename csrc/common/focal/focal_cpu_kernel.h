// Included by the kernels of the focal losses, once per instruction set.
namespace fastcv::FASTCV_ISA {

// q^gamma for 0 <= q <= 1. The usual gamma of 2 takes no exponential.
template <bool squared, typename Acc>
__attribute__((always_inline)) inline vec<Acc> power(vec<Acc> q, Acc gamma) {
  if constexpr (squared) {
    return q * q;
  } else {
    const vec<Acc> min_normal = broadcast(std::numeric_limits<Acc>::min());  // 0^0 is 1
    return vector_exp(broadcast(gamma) * vector_log(q < min_normal ? min_normal : q));
  }
}

}  // namespace fastcv::FASTCV_ISA
