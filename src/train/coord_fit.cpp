#include "train/coord_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace weightscope {
namespace {

/// 0.975 quantiles of Student's t with 1 … 30 degrees of freedom.
constexpr std::array<double, 30> kStudent{
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120,  2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

double mean(std::span<const double> x) {
  double sum = 0;
  for (const double value : x) sum += value;
  return sum / static_cast<double>(x.size());
}

double slope_of(std::span<const int> widths, const std::vector<std::vector<double>>& sizes,
                std::size_t seed) {
  std::vector<double> x, y;
  for (std::size_t w = 0; w < widths.size(); ++w)
    x.push_back(std::log2(static_cast<double>(widths[w]))), y.push_back(std::log2(sizes[w][seed]));
  const double x0 = mean(x), y0 = mean(y);
  double xy = 0, xx = 0;
  for (std::size_t w = 0; w < x.size(); ++w) xy += (x[w] - x0) * (y[w] - y0), xx += (x[w] - x0) * (x[w] - x0);
  return xy / xx;
}

}  // namespace

double student_t95(std::size_t n) { return kStudent.at(n - 2); }

CoordSlope fit_slope(std::span<const int> widths, const std::vector<std::vector<double>>& sizes) {
  std::vector<double> slopes;
  for (std::size_t seed = 0; seed < sizes.front().size(); ++seed)
    slopes.push_back(slope_of(widths, sizes, seed));
  const double middle = mean(slopes), n = static_cast<double>(slopes.size());
  double half = std::numeric_limits<double>::quiet_NaN();
  if (slopes.size() > 1) {
    double squares = 0;
    for (const double s : slopes) squares += (s - middle) * (s - middle);
    half = student_t95(slopes.size()) * std::sqrt(squares / (n - 1) / n);
  }
  return {middle, middle - half, middle + half};
}

std::string coord_verdict(CoordMeasure measure, const CoordSlope& s) {
  if (!std::isfinite(s.slope)) return "fail: not finite";
  const bool one_seed = std::isnan(s.low);
  const double low = one_seed ? s.slope : s.low, high = one_seed ? s.slope : s.high;
  if (low > kCoordTolerance) return "fail: grows";
  const bool may_fall = measure == CoordMeasure::size;
  if (!may_fall && high < -kCoordTolerance) return "fail: fades";
  return high <= kCoordTolerance && (may_fall || low >= -kCoordTolerance) ? "pass" : "unclear";
}

}  // namespace weightscope
