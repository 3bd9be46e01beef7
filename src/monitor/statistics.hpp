#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "monitor/summary.hpp"

namespace weightscope {

/// What a number is recorded for: each adds one dataset, `std`, `head_std`, `parameter_std`. kOfInitial: only
/// where the initial weights are at hand.
enum Scope : unsigned { kPerComponent = 1, kPerHead = 2, kPerParameter = 4, kOfInitial = 8 };

/// A number made of a Summary. One row here is one dataset per scope and one line of docs/statistics.md.
/// NaN where it is not defined: no finite value, no spread, no initial values.
struct Statistic {
  std::string_view name, unit, meaning, source;
  unsigned scopes;
  double (*of)(const Summary&);
};

/// A count. Exact at any world size.
struct Count {
  std::string_view name, meaning;
  unsigned scopes;
  std::uint64_t (*of)(const Measurement&);
};

namespace statistics {

inline constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
inline double finite(const Summary& s) { return static_cast<double>(s.finite()); }
inline double mean(const Summary& s) { return s.finite() > 0 ? s.mean : kUndefined; }
inline double std(const Summary& s) { return s.finite() > 0 ? std::sqrt(s.m2 / finite(s)) : kUndefined; }
inline double skewness(const Summary& s) {
  return s.m2 > 0 ? std::sqrt(finite(s)) * s.m3 / (s.m2 * std::sqrt(s.m2)) : kUndefined;
}
inline double kurtosis(const Summary& s) {
  return s.m2 > 0 ? finite(s) * s.m4 / (s.m2 * s.m2) - 3 : kUndefined;
}
inline double min(const Summary& s) { return s.finite() > 0 ? static_cast<double>(s.min) : kUndefined; }
inline double max(const Summary& s) { return s.finite() > 0 ? static_cast<double>(s.max) : kUndefined; }
inline double rms(const Summary& s) {
  return s.finite() > 0 ? std::sqrt(s.m2 / finite(s) + s.mean * s.mean) : kUndefined;
}
inline double norm(const Summary& s) {
  return s.finite() > 0 ? std::sqrt(s.m2 + finite(s) * s.mean * s.mean) : kUndefined;
}
inline double displacement(const Summary& s) {
  return s.initial2 > 0 ? std::sqrt(s.distance2 / s.initial2) : kUndefined;
}
/// ⟨W, W₀⟩ = (‖W‖² + ‖W₀‖² − ‖W − W₀‖²) / 2. As 1 − ((‖W − W₀‖² − (‖W‖ − ‖W₀‖)²) / (2‖W‖‖W₀‖)), which
/// is exactly 1 at the start; never outside of [−1, 1].
inline double cosine(const Summary& s) {
  const double now = norm(s), initial = std::sqrt(s.initial2), difference = now - initial;
  if (!(now > 0 && initial > 0)) return kUndefined;
  return std::clamp(1 - (s.distance2 - difference * difference) / (2 * now * initial), -1.0, 1.0);
}

}  // namespace statistics

inline constexpr std::array kStatistics{
    Statistic{"std", "weight", "standard deviation of the population, √(Σ(w − mean)² / n)",
              "Chan, Golub and LeVeque 1979", kPerComponent | kPerHead | kPerParameter, statistics::std},
    Statistic{"mean", "weight", "arithmetic mean", "", kPerComponent | kPerHead | kPerParameter,
              statistics::mean},
    Statistic{"skewness", "1", "third standardized moment, √n Σ(w − mean)³ / (Σ(w − mean)²)^1.5",
              "Pébay 2008, SAND2008-6212", kPerComponent, statistics::skewness},
    Statistic{"kurtosis", "1",
              "excess kurtosis, n Σ(w − mean)⁴ / (Σ(w − mean)²)² − 3; 0 for a normal distribution",
              "Pébay 2008, SAND2008-6212", kPerComponent | kPerHead, statistics::kurtosis},
    Statistic{"min", "weight", "smallest finite value", "", kPerComponent | kPerHead, statistics::min},
    Statistic{"max", "weight", "largest finite value", "", kPerComponent | kPerHead | kPerParameter,
              statistics::max},
    Statistic{"rms", "weight", "root of the mean square, √(Σ w² / n)", "", kPerComponent | kPerParameter,
              statistics::rms},
    Statistic{"displacement", "1", "distance from the initial weights over their norm, |W − W₀| / |W₀|",
              "Jacot et al. 2018, lazy training as |W − W₀| ≪ |W₀|",
              kPerComponent | kPerParameter | kOfInitial, statistics::displacement},
    Statistic{"cosine", "1", "cosine of the angle to the initial weights, ⟨W, W₀⟩ / (|W| |W₀|)", "",
              kPerComponent | kPerParameter | kOfInitial, statistics::cosine},
};

/// Of the gradient of the update that led to a snapshot, where it is recorded: `gradient_std`,
/// `parameter_gradient_norm`.
inline constexpr std::array kGradientStatistics{
    Statistic{"std", "nat/weight",
              "standard deviation of the gradient, mean over the global batch, unclipped",
              "Chan, Golub and LeVeque 1979", kPerComponent, statistics::std},
    Statistic{"norm", "nat/weight", "Euclidean norm of the gradient, mean over the global batch, unclipped",
              "", kPerComponent | kPerParameter, statistics::norm},
    Statistic{"rms", "nat/weight",
              "root of the mean square of the gradient, mean over the global batch, unclipped", "",
              kPerParameter, statistics::rms},
};

inline constexpr std::array kCounts{
    Count{"count", "all elements: Σ histogram + overflow + nonfinite", kPerComponent,
          [](const Measurement& m) { return m.summary.count; }},
    Count{"zeros", "elements equal to zero, of either sign", kPerComponent,
          [](const Measurement& m) { return m.summary.zeros; }},
    Count{"nonfinite", "NaN and infinite elements; they enter nothing else", kPerComponent,
          [](const Measurement& m) { return m.summary.nonfinite; }},
    Count{"overflow", "finite elements of magnitude 2⁴ or more, outside the bins", kPerComponent,
          [](const Measurement& m) { return m.histogram.overflow; }},
};

/// The tables above as Markdown.
std::string statistics_reference();

}  // namespace weightscope
