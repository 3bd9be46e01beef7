#include "monitor/power_law.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace weightscope {
namespace {

/// Largest |F(x_i) − i/n| over the tail, F(x) = 1 − (x/xmin)^(1−alpha).
double distance(std::span<const double> logs, double alpha) {
  const auto n = static_cast<double>(logs.size());
  double largest = 0;
  for (std::size_t i = 0; i < logs.size(); ++i)
    largest = std::max(largest,
                       std::abs(-std::expm1((1 - alpha) * (logs[i] - logs[0])) - static_cast<double>(i) / n));
  return largest;
}

}  // namespace

PowerLaw fit_power_law(std::span<const double> sorted) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> logs;
  for (const double x : sorted)
    if (x > 0) logs.push_back(std::log(x));
  PowerLaw best{kNan, kNan, kNan};
  double sum = 0;
  for (std::size_t i = logs.size(); i-- > 0;) {
    sum += logs[i];
    if (i > 0 && logs[i - 1] == logs[i]) continue;  // a tail starts at the first of equal values
    const auto n = static_cast<double>(logs.size() - i);
    const double excess = sum - n * logs[i];  // Σ ln(x / xmin)
    if (excess <= 0) continue;                // one value only
    const double alpha = 1 + n / excess, ks = distance(std::span(logs).subspan(i), alpha);
    if (!(ks >= best.ks)) best = {alpha, std::exp(logs[i]), ks};
  }
  return best;
}

}  // namespace weightscope
