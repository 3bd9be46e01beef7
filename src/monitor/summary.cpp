#include "monitor/summary.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace weightscope {

void merge(Summary& into, const Summary& other) {
  const auto a = static_cast<double>(into.finite()), b = static_cast<double>(other.finite());
  into.count += other.count, into.zeros += other.zeros, into.nonfinite += other.nonfinite;
  into.min = std::min(into.min, other.min), into.max = std::max(into.max, other.max);
  into.distance2 += other.distance2, into.initial2 += other.initial2;
  if (b == 0) return;
  if (a == 0) {
    into.mean = other.mean, into.m2 = other.m2, into.m3 = other.m3, into.m4 = other.m4;
    return;
  }
  // Pébay 2008, equations 2.1 and 2.2 for p = 2, 3, 4, from the highest down: each uses the lower ones of
  // before.
  const double n = a + b, delta = other.mean - into.mean, step = delta / n, square = step * step;
  into.m4 += other.m4 + delta * step * square * a * b * (a * a - a * b + b * b) +
             6 * square * (a * a * other.m2 + b * b * into.m2) + 4 * step * (a * other.m3 - b * into.m3);
  into.m3 += other.m3 + delta * square * a * b * (a - b) + 3 * step * (a * other.m2 - b * into.m2);
  into.m2 += other.m2 + delta * step * a * b;
  into.mean += step * b;
}

Histogram at_exponent(const Histogram& histogram, std::int64_t exponent) {
  const auto octaves = histogram.exponent - exponent;
  if (octaves == 0) return histogram;
  require(octaves > 0 && histogram.overflow == 0, Fault::internal, "a histogram cannot be scaled up");
  constexpr std::int64_t kSide = Histogram::kSide;
  Histogram scaled;
  scaled.exponent = exponent;
  for (std::int64_t i = 0; i < Histogram::kBins; ++i) {
    const auto distance =
        std::max<std::int64_t>(std::abs(i - kSide) - octaves * Histogram::kBinsPerOctave, 0);
    scaled.bins[static_cast<std::size_t>(i < kSide ? kSide - distance : kSide + distance)] +=
        histogram.bins[static_cast<std::size_t>(i)];
  }
  return scaled;
}

void merge(Measurement& into, const Measurement& other) {
  const bool first = into.summary.count == 0;
  merge(into.summary, other.summary);
  if (first) {
    into.histogram = other.histogram;
    return;
  }
  const auto exponent = std::min(into.histogram.exponent, other.histogram.exponent);
  if (into.histogram.exponent != exponent) into.histogram = at_exponent(into.histogram, exponent);
  const auto& more =
      other.histogram.exponent == exponent ? other.histogram : at_exponent(other.histogram, exponent);
  into.histogram.overflow += more.overflow;
  for (std::size_t i = 0; i < more.bins.size(); ++i) into.histogram.bins[i] += more.bins[i];
}

double bin_edge(int i) {
  if (i <= Histogram::kSide) return -bin_edge(Histogram::kBins - i);
  const int key = i - Histogram::kSide - 1;
  return std::ldexp(1.0 + (key % 8) / 8.0, key / 8 - 24);
}

}  // namespace weightscope
