#pragma once
#include <span>
#include <string>
#include <vector>

namespace weightscope {

/// How a coordinate size goes with the width: exponent of the power law, log2(size) over log2(width) by least
/// squares for each seed, their mean and its 95 % interval by Student's t. NaN where a size is zero or not
/// finite, and the interval with one seed.
struct CoordSlope {
  double slope = 0, low = 0, high = 0;
};
/// sizes: [width][seed].
CoordSlope fit_slope(std::span<const int> widths, const std::vector<std::vector<double>>& sizes);

/// Half the width of a 95 % interval in standard errors of a mean of n numbers, 2 <= n <= 31.
double student_t95(std::size_t n);

/// Sizes may not grow: that is what a larger model breaks at. They may fall, as the logits do before
/// training. Changes may neither grow nor fade: a part whose change fades does not learn in a wide model.
enum class CoordMeasure { size, change };

/// Exponents within ±this count as none: half of 1/2, the smallest one that a missing factor of muP leaves.
/// Widths that can be trained quickly are not the limit in which muP's are 0.
constexpr double kCoordTolerance = 0.25;

/// "pass" where the interval lies inside the tolerance, "fail: grows" or "fail: fades" where it lies wholly
/// outside, "fail: not finite", else "unclear": the seeds disagree too much to tell. One seed: the slope
/// itself.
std::string coord_verdict(CoordMeasure measure, const CoordSlope& slope);

}  // namespace weightscope
