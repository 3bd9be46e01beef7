#pragma once
// The arithmetic of the kernel in tile_stats.cuh. Compiled for the host as well, where tests run it.
#include <bit>
#include <cmath>
#include <cstdint>

#include "monitor/bins.hpp"
#include "monitor/blocks.hpp"

#ifdef __CUDACC__
#define WEIGHTSCOPE_DEVICE __device__ __forceinline__
#define WEIGHTSCOPE_UNROLL _Pragma("unroll")
#else
#define WEIGHTSCOPE_DEVICE inline
#define WEIGHTSCOPE_UNROLL
#endif

namespace weightscope {

/// Counters of one thread block: by distance from the middle slot, positive values first. The halves begin 16
/// banks apart, since equal magnitudes of both signs are equally common.
inline constexpr int kCounterHalf = 240, kCounters = 2 * kCounterHalf;

/// Where a finite value is counted.
WEIGHTSCOPE_DEVICE int counter_of(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  int key = static_cast<int>(bits >> 20 & 0x7ffU);
  key = key < kLowestKey - 1 ? kLowestKey - 1 : key;
  key = key > kLowestKey - 1 + kOverflowDistance ? kLowestKey - 1 + kOverflowDistance : key;
  return static_cast<int>(bits >> 31) * kCounterHalf + key - (kLowestKey - 1);
}

/// The slot that a counter belongs to, or −1: it is not used. Both middle counters belong to one slot.
WEIGHTSCOPE_DEVICE int slot_of_counter(int counter) {
  const int distance = counter % kCounterHalf;
  if (distance > kOverflowDistance) return -1;
  return counter < kCounterHalf ? kMiddleSlot + distance : kMiddleSlot - distance;
}

/// A warp reads a piece as 16-byte vectors: which element its lane holds as its i-th.
WEIGHTSCOPE_DEVICE unsigned element_of(unsigned lane, unsigned i) { return (i / 4 * 32 + lane) * 4 + i % 4; }

WEIGHTSCOPE_DEVICE bool is_finite(float x) {
  return (std::bit_cast<std::uint32_t>(x) & 0x7f800000U) != 0x7f800000U;
}

/// What a lane, and then a warp, knows of the finite values it has seen: sums of powers about a center that
/// is near their mean, so that nothing is lost when stats_of() moves them there.
struct PowerSums {
  double s1 = 0, s2 = 0, s3 = 0, s4 = 0, distance2 = 0, initial2 = 0;
  float low = HUGE_VALF, high = -HUGE_VALF;
  std::uint32_t finite = 0, zeros = 0;
};

WEIGHTSCOPE_DEVICE void add_value(PowerSums& sums, float x, double center) {
  const double d = static_cast<double>(x) - center, square = d * d;
  sums.s1 += d, sums.s2 += square;
  sums.s3 = fma(square, d, sums.s3), sums.s4 = fma(square, square, sums.s4);
  sums.low = fminf(sums.low, x), sums.high = fmaxf(sums.high, x);
}

WEIGHTSCOPE_DEVICE void add_distance(PowerSums& sums, float x, float initial) {
  const double from = static_cast<double>(initial), d = static_cast<double>(x) - from;
  sums.distance2 = fma(d, d, sums.distance2), sums.initial2 = fma(from, from, sums.initial2);
}

/// n finite values. `count` takes the counter of each.
template <int n, class Count>
WEIGHTSCOPE_DEVICE void add_finite(PowerSums& sums, const float (&x)[n], double center, Count count) {
  float smallest = HUGE_VALF;
  WEIGHTSCOPE_UNROLL
  for (int i = 0; i < n; ++i) {
    count(counter_of(x[i]));
    add_value(sums, x[i], center);
    smallest = fminf(smallest, fabsf(x[i]));
  }
  sums.finite += n;
  if (smallest == 0) {
    WEIGHTSCOPE_UNROLL
    for (int i = 0; i < n; ++i) sums.zeros += x[i] == 0 ? 1U : 0U;
  }
}

/// Any value.
template <class Count>
WEIGHTSCOPE_DEVICE void add_any(PowerSums& sums, float x, double center, Count count) {
  if (!is_finite(x)) return;
  count(counter_of(x));
  add_value(sums, x, center);
  sums.finite += 1, sums.zeros += x == 0 ? 1U : 0U;
}

WEIGHTSCOPE_DEVICE BlockStats stats_of(const PowerSums& sums, double center) {
  BlockStats b{};
  b.finite = sums.finite, b.zeros = sums.zeros;
  b.min = sums.low + 0.0F, b.max = sums.high + 0.0F;  // −0 becomes +0
  b.distance2 = sums.distance2, b.initial2 = sums.initial2;
  if (sums.finite == 0) return b;
  const double n = sums.finite, delta = sums.s1 / n, square = delta * delta;
  b.mean = center + delta;
  b.m2 = fmax(0.0, sums.s2 - sums.s1 * delta);
  b.m3 = sums.s3 - 3 * delta * sums.s2 + 2 * n * square * delta;
  b.m4 = sums.s4 - 4 * delta * sums.s3 + 6 * square * sums.s2 - 3 * n * square * square;
  return b;
}

/// As merge() of summaries.
WEIGHTSCOPE_DEVICE void merge_stats(BlockStats& into, const BlockStats& other) {
  const double a = into.finite, b = other.finite;
  into.zeros += other.zeros;
  into.min = fminf(into.min, other.min), into.max = fmaxf(into.max, other.max);
  into.distance2 += other.distance2, into.initial2 += other.initial2;
  if (other.finite == 0) return;
  const double n = a + b, delta = other.mean - into.mean, step = delta / n, square = step * step;
  into.finite += other.finite;
  into.m4 += other.m4 + delta * step * square * a * b * (a * a - a * b + b * b) +
             6 * square * (a * a * other.m2 + b * b * into.m2) + 4 * step * (a * other.m3 - b * into.m3);
  into.m3 += other.m3 + delta * square * a * b * (a - b) + 3 * step * (a * other.m2 - b * into.m2);
  into.m2 += other.m2 + delta * step * a * b;
  into.mean += step * b;
}

}  // namespace weightscope
