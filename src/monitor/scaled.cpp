#include "monitor/scaled.hpp"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.hpp"
#include "monitor/bins.hpp"
#include "monitor/measure.hpp"

namespace weightscope {
namespace {

float largest_finite(const float* x, std::size_t count, int threads) {
  std::int32_t largest = 0;  // magnitudes of floats are ordered as their bits
#pragma omp parallel for simd reduction(max : largest) num_threads(threads)
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t magnitude = std::bit_cast<std::int32_t>(x[i]) & kMagnitudeMask;
    largest = std::max(largest, magnitude < kInfinityBits ? magnitude : 0);
  }
  return std::bit_cast<float>(largest);
}

/// In double: 2^exponent need not be a float.
void multiply(float* x, std::size_t count, std::int64_t exponent, int threads) {
  const double factor = std::ldexp(1.0, static_cast<int>(exponent));
#pragma omp parallel for simd num_threads(threads)
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(static_cast<double>(x[i]) * factor);
}

void take_out(Summary& s, int exponent) {
  s.mean = std::ldexp(s.mean, -exponent);
  s.m2 = std::ldexp(s.m2, -2 * exponent);
  s.m3 = std::ldexp(s.m3, -3 * exponent);
  s.m4 = std::ldexp(s.m4, -4 * exponent);
  s.min = std::ldexp(s.min, -exponent), s.max = std::ldexp(s.max, -exponent);
}

}  // namespace

std::int64_t exponent_for(float largest) {
  constexpr int kLastOctave = 3, kLowestPower = -149;
  return largest == 0 ? kLastOctave - kLowestPower : kLastOctave - std::ilogb(largest);
}

std::vector<Measurement> measure_scaled(std::span<const WeightSlice> slices, int threads) {
  const int used = threads > 0 ? threads : omp_get_max_threads();
  std::vector<std::int64_t> exponents;
  for (const auto& slice : slices) {
    require(
        slice.weights.place == Place::host && slice.weights.dtype == DType::f32 && slice.initial == nullptr,
        Fault::internal, "only float32 in host memory can be scaled: " + slice.parameter);
    auto* x = static_cast<float*>(slice.weights.data);
    exponents.push_back(exponent_for(largest_finite(x, slice.weights.count, used)));
    multiply(x, slice.weights.count, exponents.back(), used);
  }
  auto measured = measure(slices, threads);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    take_out(measured[i].summary, static_cast<int>(exponents[i]));
    measured[i].histogram.exponent = exponents[i];
  }
  return measured;
}

}  // namespace weightscope
