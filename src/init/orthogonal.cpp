#include <algorithm>
#include <cmath>
#include <vector>

#include "init/distribution.hpp"

namespace weightscope {
namespace {

double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// Makes the k vectors of length n orthonormal: modified Gram-Schmidt, twice, which is as orthogonal as
/// Householder (Giraud et al. 2005). Every vector's sums are done by one thread, so threads change no bit.
void orthonormalize(std::vector<double>& vectors, std::int64_t k, std::int64_t n) {
  for (int pass = 0; pass < 2; ++pass)
    for (std::int64_t j = 0; j < k; ++j) {
      double* pivot = vectors.data() + j * n;
      const double scale = 1 / std::sqrt(dot(pivot, pivot, n));
      for (std::int64_t i = 0; i < n; ++i) pivot[i] *= scale;
#pragma omp parallel for schedule(static)
      for (std::int64_t other = j + 1; other < k; ++other) {
        double* v = vectors.data() + other * n;
        const double part = dot(pivot, v, n);
        for (std::int64_t i = 0; i < n; ++i) v[i] -= part * pivot[i];
      }
    }
}

}  // namespace

void fill_orthogonal(std::span<float> values, std::int64_t rows, std::int64_t columns, double gain,
                     const Philox& stream) {
  // Gaussian vectors, orthonormalized in order, are uniform over orthogonal frames (Haar): signs need no
  // correction, because Gram-Schmidt keeps each vector's direction positive.
  const std::int64_t k = std::min(rows, columns), n = std::max(rows, columns);
  std::vector<double> vectors(static_cast<std::size_t>(k * n));
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < k * n; ++i)
    vectors[static_cast<std::size_t>(i)] = stream.normal(static_cast<std::uint64_t>(i));
  orthonormalize(vectors, k, n);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      values[static_cast<std::size_t>(r * columns + c)] = static_cast<float>(
          gain * vectors[static_cast<std::size_t>(rows <= columns ? r * n + c : c * n + r)]);
}

}  // namespace weightscope
