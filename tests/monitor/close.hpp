#pragma once
// What a measurement on a GPU is compared with: the same integers as the CPU's, sums equal to rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "monitor/summary.hpp"
#include "monitor/weights.hpp"

namespace weightscope {

inline void expect_close(double a, double b, double scale, const std::string& what) {
  EXPECT_LE(std::abs(a - b), 1e-12 * std::abs(scale)) << what << ": " << a << " and " << b;
}

inline void expect_equal(const Measurement& gpu, const Measurement& cpu, const std::string& what) {
  const auto &a = gpu.summary, &b = cpu.summary;
  EXPECT_EQ(gpu.histogram.bins, cpu.histogram.bins) << what;
  EXPECT_EQ(gpu.histogram.overflow, cpu.histogram.overflow) << what;
  EXPECT_EQ(a.count, b.count) << what;
  EXPECT_EQ(a.zeros, b.zeros) << what;
  EXPECT_EQ(a.nonfinite, b.nonfinite) << what;
  EXPECT_EQ(a.min, b.min) << what;
  EXPECT_EQ(a.max, b.max) << what;
  const double n = static_cast<double>(b.finite()), spread = n > 0 ? std::sqrt(b.m2 / n) : 0;
  expect_close(a.mean, b.mean, std::abs(b.mean) + spread, what + " mean");
  expect_close(a.m2, b.m2, b.m2, what + " m2");
  expect_close(a.m3, b.m3, std::sqrt(b.m2 * b.m4), what + " m3");  // bounds Σ|d|³
  expect_close(a.m4, b.m4, b.m4, what + " m4");
  expect_close(a.distance2, b.distance2, b.distance2, what + " distance2");
  expect_close(a.initial2, b.initial2, b.initial2, what + " initial2");
}

/// Slices of awkward sizes with zeros of both signs, values that are not finite, and denormal ones.
struct AwkwardWeights {
  std::vector<std::vector<float>> now, before;
  std::vector<WeightSlice> slices;
  AwkwardWeights() {
    for (const std::size_t n : {1u, 31u, 256u, 4095u, 4096u, 4097u, 65536u, 65537u, 200003u}) {
      now.push_back(normal_weights(n, "now", 2.0)), before.push_back(normal_weights(n, "before"));
      auto& w = now.back();
      for (std::size_t i = 2; i < n; i += 5) w[i] = i % 2 == 0 ? 0.0f : -0.0f;
      for (std::size_t i = 3; i < n; i += 11) w[i] *= 10;
      for (std::size_t i = 7; i < n; i += 503) w[i] = std::numeric_limits<float>::quiet_NaN();
      for (std::size_t i = 8; i < n; i += 701) w[i] = std::numeric_limits<float>::denorm_min();
    }
    for (std::size_t i = 0; i < now.size(); ++i) {
      slices.push_back(slice_of(now[i], std::to_string(now[i].size())));
      slices.back().initial = i % 3 == 2 ? nullptr : before[i].data();
    }
  }
};

}  // namespace weightscope
