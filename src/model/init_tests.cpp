#include "model/init_tests.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace weightscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double two_sided(double z) { return std::erfc(std::abs(z) / std::sqrt(2.0)); }

double degrees_of_freedom(const Summary& s, const Distribution& planned) {
  return std::max(2 * (static_cast<double>(s.finite()) - 1) / (planned.kurtosis() + 2), 1.0);
}

/// Half the distance between neighbours of x among numbers of a type: what rounding moves at most.
double half_unit(double x, DType type) {
  const int bits = type == DType::f16 ? 11 : type == DType::bf16 ? 8 : 24;
  const double relative = std::ldexp(std::abs(x), -bits);
  return type == DType::f16 ? std::max(relative, std::ldexp(1.0, -25)) : relative;
}

/// Largest distance between distribution functions that rounding does not explain.
double kolmogorov_distance(const Measurement& m, const Distribution& planned, DType stored) {
  const double n = static_cast<double>(m.summary.finite());
  // Beyond the last edges either side may hold the overflow: nothing that is planned reaches there.
  double below = 0, distance = static_cast<double>(m.histogram.overflow) / n;
  for (int i = 0; i < Histogram::kBins; ++i) {
    const double edge = bin_edge(i), h = half_unit(edge, stored), share = below / n;
    distance = std::max({distance, share - planned.cdf(edge + h), planned.cdf(edge - h) - share});
    below += static_cast<double>(m.histogram.bins[static_cast<std::size_t>(i)]);
  }
  return distance;
}

/// P(distance >= d) of n independent values.
double kolmogorov_p(double d, double n) {
  const double root = std::sqrt(n), x = d * (root + 0.12 + 0.11 / root);
  if (x < 0.3) return 1;  // 1 − 1e-5; the series converges slowly there
  double p = 0;
  for (int k = 1; k <= 100; ++k) p += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * x * x);
  return std::clamp(p, 0.0, 1.0);
}

}  // namespace

InitTests test_against(const Measurement& measured, const Distribution& planned, double expected,
                       DType stored) {
  const auto& s = measured.summary;
  const double n = static_cast<double>(s.finite());
  if (planned.family == Family::constant || n < 2) return {kNone, kNone, kNone};
  const double nu = degrees_of_freedom(s, planned), ratio = s.m2 / (n - 1) / (expected * expected);
  const double z = (std::cbrt(ratio) - (1 - 2 / (9 * nu))) * std::sqrt(9 * nu / 2);
  const double p_mean = two_sided(s.mean / expected * std::sqrt(n));
  if (planned.family == Family::orthogonal) return {two_sided(z), p_mean, kNone};
  return {two_sided(z), p_mean, kolmogorov_p(kolmogorov_distance(measured, planned, stored), n)};
}

Interval std_interval(const Summary& s, const Distribution& planned) {
  const double n = static_cast<double>(s.finite()), nu = degrees_of_freedom(s, planned);
  const double std = n > 1 ? std::sqrt(s.m2 / (n - 1)) : 0;
  const auto end = [&](double z) {  // std over the root of a quantile of chi-square / nu
    return std / std::pow(std::max(1 - 2 / (9 * nu) + z * std::sqrt(2 / (9 * nu)), 1e-9), 1.5);
  };
  return {end(1.959963985), end(-1.959963985)};
}

std::vector<bool> holm(std::span<const double> p, double level) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!std::isnan(p[i])) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] < p[b]; });
  std::vector<bool> rejected(p.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (p[order[k]] > level / static_cast<double>(order.size() - k)) break;
    rejected[order[k]] = true;
  }
  return rejected;
}

}  // namespace weightscope
