#pragma once
#include <cstdint>
#include <span>

#include "core/philox.hpp"

namespace weightscope {

enum class Family : std::uint8_t { constant, normal, truncated_normal, uniform, orthogonal };

/// What a tensor is drawn from. spread: the constant; sigma of the normal (before truncation); half-width of
/// the uniform (−spread, spread); gain of the orthogonal. cut: truncation in sigmas.
struct Distribution {
  Family family = Family::constant;
  double spread = 0, cut = 2;

  /// Standard deviation of the elements of a [rows, columns] tensor, truncation included.
  double expected_std(std::int64_t rows, std::int64_t columns) const;
  /// Excess kurtosis: 0 of the normal, −1.2 of the uniform. 0 for orthogonal, whose elements are nearly
  /// normal.
  double kurtosis() const;
  /// P(element <= x). NaN for orthogonal: its elements have a distribution that depends on the shape.
  double cdf(double x) const;
};

/// Element i is a pure function of (stream, i), so the weights are the same bits for any number of threads
/// and ranks. An orthogonal matrix depends on all its elements, but not on threads either.
void fill(std::span<float> values, std::int64_t rows, std::int64_t columns, const Distribution& from,
          const Philox& stream);

/// Private to init: rows × columns with orthonormal rows or columns (the shorter side), times gain (Saxe et
/// al. 2014).
void fill_orthogonal(std::span<float> values, std::int64_t rows, std::int64_t columns, double gain,
                     const Philox& stream);

}  // namespace weightscope
