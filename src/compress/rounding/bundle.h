// Eight groups of values side by side, one in each lane: whatever is done to a group is done to eight at once, without
// a sum over lanes, and in the order in which scalar code would do it.
#pragma once

#include "compress/rounding/lanes.h"

namespace miao::compress {
inline namespace MIAO_LANES {

constexpr int kLanes = 8, kMaxGroup = 32;

struct Bundle {
  alignas(32) float x[kMaxGroup * kLanes];  // value i of lane l at [i * kLanes + l]
  alignas(32) float w[kMaxGroup * kLanes];
  int n;
  Half weight, energy, sum;  // of w, w x^2, w x
  Half low, high;            // of x
};

// Element i of lanes that lie side by side; of one group where T is float.
template <class T>
static inline T at(const float* v, int i) {
  return load<T>(v + static_cast<size_t>(i) * (sizeof(T) / sizeof(float)));
}
template <class T>
static inline void put(float* v, int i, T value) {
  store(v + static_cast<size_t>(i) * (sizeof(T) / sizeof(float)), value);
}

// `count` groups of n that lie one after the other; lanes beyond repeat the last.
static inline void side_by_side(const float* from, int n, int count, float* to) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const float* group = from + (lane < count ? lane : count - 1) * n;
    for (int i = 0; i < n; ++i) to[i * kLanes + lane] = group[i];
  }
}

static inline void make_bundle(const float* x, const float* w, int n, int count, Bundle& b) {
  side_by_side(x, n, count, b.x);
  side_by_side(w, n, count, b.w);
  b.n = n;
  b.weight = b.energy = b.sum = splat<Half>(0);
  b.low = b.high = at<Half>(b.x, 0);
  for (int i = 0; i < n; ++i) {
    const Half xi = at<Half>(b.x, i), wi = at<Half>(b.w, i);
    b.weight = b.weight + wi;
    b.sum = b.sum + wi * xi;
    b.energy = b.energy + wi * xi * xi;
    b.low = lesser(b.low, xi);
    b.high = greater(b.high, xi);
  }
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
