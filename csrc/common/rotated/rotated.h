// Rotated boxes and their overlap, for host and device.
//
// A box (cx, cy, w, h, angle) is the upright w x h box about (cx, cy) turned by `angle` degrees
// counter-clockwise as seen on the screen, where y points down: its local point (u, v) lies at
//   (cx + u cos + v sin, cy - u sin + v cos).
#pragma once

#include "common/host/host_device.h"

namespace fastcv {

template <typename T>
struct RotatedBox {
  T cx, cy, w, h, cos, sin;
};

// Boxes without area, or with anything infinite or NaN, become empty: they overlap nothing.
template <typename T>
FASTCV_HD RotatedBox<T> rotated_box(T cx, T cy, T w, T h, T degrees) {
  const T a = w * h;
  const T finite = (cx - cx) + (cy - cy) + (degrees - degrees) + (a - a);  // 0, or NaN
  if (!(w > 0 && h > 0 && a > 0 && finite == 0)) return {0, 0, 0, 0, 1, 0};
  // In double, so that host and device agree after rounding to float; whole turns go first.
  const double radians = fmod(static_cast<double>(degrees), 360.0) * (3.14159265358979323846 / 180);
  return {cx, cy, w, h, static_cast<T>(::cos(radians)), static_cast<T>(::sin(radians))};
}

template <typename T>
FASTCV_HD T clamp(T x, T low, T high) {
  return x > low ? (x < high ? x : high) : low;  // NaN becomes low
}

template <typename T>
FASTCV_HD T magnitude(T x) {
  return x < 0 ? -x : x;
}

// The integral of clamp(y, -h, h) dx along the edge from (x0, y0) to (x1, y1), over -w <= x <= w.
template <typename T>
FASTCV_HD T area_under_edge(T x0, T y0, T x1, T y1, T w, T h) {
  const T xa = clamp(x0, -w, w), xb = clamp(x1, -w, w);
  const T dx = x1 - x0;
  const T slope = dx == 0 ? T(0) : (y1 - y0) / dx;
  // From whichever end is nearer, so that an end inside the range keeps its y exactly.
  const T ya = y0 + (xa - x0) * slope, yb = y1 + (xb - x1) * slope;
  const T ca = clamp(ya, -h, h), cb = clamp(yb, -h, h);
  // The clamped line is level, then slanted from sa to sb, then level.
  const T rise = yb - ya;
  const T per_rise = rise == 0 ? T(0) : 1 / rise;
  const T s0 = clamp((-h - ya) * per_rise, T(0), T(1)), s1 = clamp((h - ya) * per_rise, T(0), T(1));
  const T sa = s0 < s1 ? s0 : s1, sb = s0 < s1 ? s1 : s0;
  return (xb - xa) * (ca * sa + (ca + cb) * T(0.5) * (sb - sa) + cb * (1 - sb));
}

// Whether `a` comes first in the order that makes the overlap of (a, b) that of (b, a), bit by bit.
template <typename T>
FASTCV_HD bool comes_first(const RotatedBox<T>& a, const RotatedBox<T>& b) {
  const bool sin = a.sin < b.sin;
  const bool cos = (a.cos < b.cos) | ((a.cos == b.cos) & sin);
  const bool w = (a.w < b.w) | ((a.w == b.w) & cos);
  const bool h = (a.h < b.h) | ((a.h == b.h) & w);
  const bool cy = (a.cy < b.cy) | ((a.cy == b.cy) & h);
  return (a.cx < b.cx) | ((a.cx == b.cx) & cy);
}

// The area that two boxes share. In the frame of `a`, b is a convex quadrangle; its slice at each
// x, clamped to a's height, is the difference of its clamped upper and lower edge, and so the area
// is the sum over b's edges of the integrals above, signed by their direction.
template <typename T>
FASTCV_HD T ordered_intersection(const RotatedBox<T>& a, const RotatedBox<T>& b) {
  const T dx = b.cx - a.cx, dy = b.cy - a.cy;
  const T u = dx * a.cos - dy * a.sin, v = dx * a.sin + dy * a.cos;  // b's centre
  const bool parallel = (a.cos == b.cos) & (a.sin == b.sin);         // then exactly so
  const T cos = parallel ? T(1) : a.cos * b.cos + a.sin * b.sin;
  const T sin = parallel ? T(0) : b.sin * a.cos - b.cos * a.sin;
  const T aw = a.w * T(0.5), ah = a.h * T(0.5), bw = b.w * T(0.5), bh = b.h * T(0.5);

  // Boxes that a line along one of their sides separates share exactly nothing.
  const T c = magnitude(cos), s = magnitude(sin);
  const T bu = u * cos - v * sin, bv = u * sin + v * cos;  // the centres' distance, in b's frame
  const bool apart =
      (magnitude(u) >= aw + bw * c + bh * s) | (magnitude(v) >= ah + bw * s + bh * c) |
      (magnitude(bu) >= bw + aw * c + ah * s) | (magnitude(bv) >= bh + aw * s + ah * c);

  const T px = bw * cos, py = -bw * sin, qx = bh * sin, qy = bh * cos;  // half sides of b
  const T x0 = u - px - qx, y0 = v - py - qy, x1 = u + px - qx, y1 = v + py - qy;
  const T x2 = u + px + qx, y2 = v + py + qy, x3 = u - px + qx, y3 = v - py + qy;
  const T signed_area =
      (area_under_edge(x0, y0, x1, y1, aw, ah) + area_under_edge(x2, y2, x3, y3, aw, ah)) +
      (area_under_edge(x1, y1, x2, y2, aw, ah) + area_under_edge(x3, y3, x0, y0, aw, ah));
  const T smaller = a.w * a.h < b.w * b.h ? a.w * a.h : b.w * b.h;
  return apart ? T(0) : clamp(magnitude(signed_area), T(0), smaller);
}

template <typename T>
FASTCV_HD T iou(const RotatedBox<T>& a, const RotatedBox<T>& b) {
  const bool in_order = comes_first(a, b);
  const RotatedBox<T> first = {in_order ? a.cx : b.cx,   in_order ? a.cy : b.cy,
                               in_order ? a.w : b.w,     in_order ? a.h : b.h,
                               in_order ? a.cos : b.cos, in_order ? a.sin : b.sin};
  const RotatedBox<T> second = {in_order ? b.cx : a.cx,   in_order ? b.cy : a.cy,
                                in_order ? b.w : a.w,     in_order ? b.h : a.h,
                                in_order ? b.cos : a.cos, in_order ? b.sin : a.sin};
  const T inter = ordered_intersection(first, second);
  return inter > 0 ? inter / (first.w * first.h + second.w * second.h - inter) : T(0);
}

// Radius of the circle about the centre that holds the box, rounded up; boxes whose circles are
// apart are apart, and this costs little to know.
template <typename T>
FASTCV_HD T bounding_radius(const RotatedBox<T>& b) {
  constexpr T half_and_some = T(0.5) + (sizeof(T) == 8 ? T(0x1p-49) : T(0x1p-20));
  return half_and_some * sqrt(b.w * b.w + b.h * b.h);
}

}  // namespace fastcv
