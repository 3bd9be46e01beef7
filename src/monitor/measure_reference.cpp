// The same numbers as measure(), written as their definitions. No block, no lane, no bit of a float.
#include <cmath>
#include <vector>

#include "monitor/measure.hpp"

namespace weightscope {
namespace {

/// By magnitude alone: x = ±f·2^e with f in [0.5, 1).
void count_reference(Histogram& histogram, double x) {
  int e = 0;
  const double f = std::frexp(std::abs(x), &e);
  if (std::abs(x) >= 16) {
    ++histogram.overflow;
  } else if (std::abs(x) < 0x1p-24) {
    ++histogram.bins[Histogram::kSide];
  } else {
    const int octave = e - 1 + 24, eighth = static_cast<int>(std::floor((2 * f - 1) * 8));
    const int distance = 8 * octave + eighth + 1;
    ++histogram.bins[static_cast<std::size_t>(Histogram::kSide + (x < 0 ? -distance : distance))];
  }
}

}  // namespace

Measurement measure_reference(const WeightSlice& slice) {
  Measurement m;
  auto& s = m.summary;
  std::vector<double> finite;
  const auto* x = static_cast<const float*>(slice.weights.data);
  for (std::size_t i = 0; i < slice.weights.count; ++i) {
    ++s.count;
    s.zeros += x[i] == 0.0f ? 1 : 0;
    if (!std::isfinite(x[i])) {
      ++s.nonfinite;
      continue;
    }
    finite.push_back(static_cast<double>(x[i]));
    count_reference(m.histogram, finite.back());
    s.min = std::fmin(s.min, x[i]), s.max = std::fmax(s.max, x[i]);
    if (slice.initial == nullptr) continue;
    const auto from = static_cast<double>(slice.initial[i]);
    s.distance2 += (finite.back() - from) * (finite.back() - from);
    s.initial2 += from * from;
  }
  for (const double v : finite) s.mean += v;
  if (!finite.empty()) s.mean /= static_cast<double>(finite.size());
  for (const double v : finite) {
    const double d = v - s.mean;
    s.m2 += d * d, s.m3 += d * d * d, s.m4 += d * d * d * d;
  }
  return m;
}

}  // namespace weightscope
