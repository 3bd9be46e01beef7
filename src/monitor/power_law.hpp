#pragma once
#include <span>

namespace weightscope {

/// p(x) ∝ x^−alpha for x ≥ xmin. ks: Kolmogorov–Smirnov distance between the fit and the values it is for.
struct PowerLaw {
  double alpha, xmin, ks;
};

/// Fits the tail of positive values, sorted upwards: alpha by maximum likelihood for every possible xmin,
/// then the xmin whose fit is closest (Clauset, Shalizi & Newman 2009, arXiv:0706.1062, eqs. 3.1 and 3.9), as
/// the packages powerlaw and WeightWatcher do. All NaN when fewer than two distinct values are positive.
PowerLaw fit_power_law(std::span<const double> sorted);

}  // namespace weightscope
