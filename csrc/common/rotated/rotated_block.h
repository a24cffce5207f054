// Included by kernels, once per instruction set: rotated boxes by coordinate, a vector at a time.
namespace fastcv::FASTCV_ISA {

template <typename T>
struct RotatedBlock {
  static constexpr int size = FASTCV_VECTOR_BYTES / sizeof(T);
  T cx[size], cy[size], w[size], h[size], cos[size], sin[size];
  T radius[size];

  RotatedBox<T> box(int lane) const {
    return {cx[lane], cy[lane], w[lane], h[lane], cos[lane], sin[lane]};
  }

  void set(int lane, const RotatedBox<T>& b) {
    cx[lane] = b.cx;
    cy[lane] = b.cy;
    w[lane] = b.w;
    h[lane] = b.h;
    cos[lane] = b.cos;
    sin[lane] = b.sin;
    radius[lane] = bounding_radius(b);
  }

  void clear() {
    for (int lane = 0; lane < size; ++lane) {
      set(lane, {0, 0, 0, 0, 1, 0});
    }
  }

  // Whether the circle about any of the boxes meets the one about b.
  bool near(const RotatedBox<T>& b, T b_radius) const {
    std::conditional_t<sizeof(T) == 4, int32_t, int64_t> any = 0;
    for (int lane = 0; lane < size; ++lane) {
      const T dx = cx[lane] - b.cx, dy = cy[lane] - b.cy, reach = radius[lane] + b_radius;
      any |= dx * dx + dy * dy <= reach * reach;
    }
    return any != 0;
  }
};

}  // namespace fastcv::FASTCV_ISA
