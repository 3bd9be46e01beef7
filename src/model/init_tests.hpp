#pragma once
#include <span>
#include <vector>

#include "core/buffer.hpp"
#include "init/distribution.hpp"
#include "monitor/summary.hpp"

namespace weightscope {

/// How likely values as far from the plan are, were they drawn from it. NaN: not tested (constants; the shape
/// of an orthogonal matrix).
struct InitTests {
  double p_std, p_mean, p_shape;
};

/// Of a random tensor whose elements have the standard deviation `expected`.
/// std: ν s²/σ² against chi-square with ν = 2n / (κ + 2) degrees of freedom, κ the excess kurtosis of the
///   planned distribution (n for a normal), by Wilson & Hilferty 1931. mean: z test with the planned σ.
/// shape: Kolmogorov–Smirnov against the planned distribution function at the edges of the bins, where the
///   distance can only be smaller than between them; p by Stephens 1970. Values rounded to `stored` may lie
///   half a unit from where they were drawn.
InitTests test_against(const Measurement& measured, const Distribution& planned, double expected,
                       DType stored);

/// 95 % interval of the standard deviation from the same chi-square.
struct Interval {
  double low, high;
};
Interval std_interval(const Summary& measured, const Distribution& planned);

/// Which of these p (NaN: none) are too small to be chance at the family-wise `level` (Holm 1979).
std::vector<bool> holm(std::span<const double> p, double level);

}  // namespace weightscope
