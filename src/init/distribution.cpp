#include "init/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace weightscope {
namespace {

constexpr double kRoot2 = 1.41421356237309504880, kRoot2Pi = 2.50662827463100050242;

double normal_density(double x) { return std::exp(-x * x / 2) / kRoot2Pi; }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / kRoot2); }

/// Inverse of the normal distribution function: Acklam's rational start (relative error 1e-9), one step of
/// Halley on erfc.
double normal_quantile(double p) {
  static constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                                 1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  static constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                                 6.680131188771972e+01, -1.328068155288572e+01};
  static constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                                 -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  static constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                                 3.754408661907416e+00};
  const auto tail = [&](double q) {
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  };
  double x = 0;
  if (p < 0.02425) {
    x = tail(std::sqrt(-2 * std::log(p)));
  } else if (p > 1 - 0.02425) {
    x = -tail(std::sqrt(-2 * std::log(1 - p)));
  } else {
    const double q = p - 0.5, r = q * q;
    x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
        (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
  }
  const double error = (normal_cdf(x) - p) / normal_density(x);
  return x - error / (1 + x * error / 2);
}

}  // namespace

double Distribution::expected_std(std::int64_t rows, std::int64_t columns) const {
  switch (family) {
    case Family::constant:
      return 0;
    case Family::normal:
      return spread;
    case Family::uniform:
      return spread / std::sqrt(3.0);
    // Var = sigma² (1 − 2c·phi(c) / (2·Phi(c) − 1)) for a normal cut at ±c sigma.
    case Family::truncated_normal:
      return spread * std::sqrt(1 - 2 * cut * normal_density(cut) / (2 * normal_cdf(cut) - 1));
    // min(rows, columns) orthonormal vectors: the mean square of an element is gain² / max(rows, columns).
    case Family::orthogonal:
      return spread / std::sqrt(static_cast<double>(std::max(rows, columns)));
  }
  return 0;
}

double Distribution::kurtosis() const {
  if (family == Family::uniform) return -1.2;
  if (family != Family::truncated_normal) return 0;
  // Moments of a normal cut at ±c: m2 = 1 − 2c·phi/Z, m4 = 3 − 2(c³ + 3c)·phi/Z with Z = 2·Phi(c) − 1.
  const double ratio = 2 * normal_density(cut) / (2 * normal_cdf(cut) - 1), m2 = 1 - cut * ratio;
  return (3 - (cut * cut * cut + 3 * cut) * ratio) / (m2 * m2) - 3;
}

double Distribution::cdf(double x) const {
  switch (family) {
    case Family::constant:
      return x >= spread ? 1 : 0;
    case Family::normal:
      return normal_cdf(x / spread);
    case Family::uniform:
      return std::clamp((x / spread + 1) / 2, 0.0, 1.0);
    case Family::truncated_normal: {
      const double low = normal_cdf(-cut);
      return std::clamp((normal_cdf(x / spread) - low) / (1 - 2 * low), 0.0, 1.0);
    }
    case Family::orthogonal:
      break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

void fill(std::span<float> values, std::int64_t rows, std::int64_t columns, const Distribution& from,
          const Philox& stream) {
  if (from.family == Family::orthogonal) return fill_orthogonal(values, rows, columns, from.spread, stream);
  const auto n = static_cast<std::int64_t>(values.size());
  const double low = normal_cdf(-from.cut), mass = 1 - 2 * low;
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::uint64_t>(i);
    double x = from.spread;
    if (from.family == Family::normal) x = from.spread * stream.normal(at);
    if (from.family == Family::uniform) x = from.spread * (2 * stream.uniform(at) - 1);
    if (from.family == Family::truncated_normal)
      x = from.spread * std::clamp(normal_quantile(low + mass * stream.uniform(at)), -from.cut, from.cut);
    values[static_cast<std::size_t>(i)] = static_cast<float>(x);
  }
}

}  // namespace weightscope
