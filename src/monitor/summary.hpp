#pragma once
#include <array>
#include <cstdint>
#include <limits>

namespace weightscope {

/// What one pass over some weights leaves behind. Non-finite values are counted and enter nothing else.
/// m_k = Σ (x − mean)^k over the finite values. CPU and CUDA kernels fill the same struct.
struct Summary {
  std::uint64_t count = 0, zeros = 0, nonfinite = 0;  ///< count: all elements
  double mean = 0, m2 = 0, m3 = 0, m4 = 0;
  float min = std::numeric_limits<float>::infinity(), max = -std::numeric_limits<float>::infinity();
  double distance2 = 0, initial2 = 0;  ///< Σ (x − x₀)² and Σ x₀², when the initial values are at hand
  std::uint64_t finite() const { return count - nonfinite; }
};

/// Counts by the bits of the float32: sign, exponent from 2^-24 to 2^4, top 3 mantissa bits; one middle bin
/// for (−2^-24, 2^-24), exact zeros included. Bin 0 is the most negative. `overflow`: finite with |x| >= 2^4.
/// What is counted is the value times 2^exponent: 0 for weights, see measure_scaled() for others.
struct Histogram {
  static constexpr int kSide = 224, kBins = 2 * kSide + 1, kBinsPerOctave = 8;
  std::uint64_t overflow = 0;
  std::array<std::uint64_t, kBins> bins{};
  std::int64_t exponent = 0;
};

struct Measurement {
  Summary summary;
  Histogram histogram;
};

/// Exact for counts; moments by Chan et al. 1979 / Pébay 2008 (SAND2008-6212). Order matters in the last bits
/// only, so callers merge in a fixed order.
void merge(Summary& into, const Summary& other);
void merge(Measurement& into, const Measurement& other);

/// The counts that a smaller exponent gives: exact, since bins repeat with every octave; what falls below the
/// lowest of them is in the middle one. Error{internal} when the exponent is larger, or something overflows
/// here and might not there.
Histogram at_exponent(const Histogram& histogram, std::int64_t exponent);

/// Edge i of the histogram (i = 0 … 449), increasing; exact powers-of-two arithmetic.
double bin_edge(int i);

}  // namespace weightscope
