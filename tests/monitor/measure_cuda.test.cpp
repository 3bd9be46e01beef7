// The same call on the same weights in GPU memory: counts must be equal, sums equal to rounding.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "monitor/digest.hpp"
#include "monitor/measure.hpp"
#include "monitor/weights.hpp"
#include "support/gpu.hpp"

namespace weightscope {
namespace {

/// Device copies of slices, freed at the end.
class OnDevice {
 public:
  explicit OnDevice(std::vector<WeightSlice> slices) : slices_(std::move(slices)) {
    for (auto& s : slices_) {
      void* memory = nullptr;
      EXPECT_EQ(cudaMalloc(&memory, s.weights.bytes() + 4), cudaSuccess);
      EXPECT_EQ(cudaMemcpy(memory, s.weights.data, s.weights.bytes(), cudaMemcpyHostToDevice), cudaSuccess);
      memory_.push_back(memory);
      s.weights.data = memory, s.weights.place = Place::cuda;
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() {
    for (void* memory : memory_) cudaFree(memory);
  }
  std::vector<WeightSlice>& slices() { return slices_; }

 private:
  std::vector<WeightSlice> slices_;
  std::vector<void*> memory_;
};

void expect_close(double a, double b, double scale, const std::string& what) {
  EXPECT_LE(std::abs(a - b), 1e-12 * std::abs(scale)) << what << ": " << a << " and " << b;
}

void expect_equal(const Measurement& gpu, const Measurement& cpu, const std::string& what) {
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

struct Weights {
  std::vector<std::vector<float>> now, before;
  std::vector<WeightSlice> slices;
  Weights() {
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

using MeasureOnCuda = GpuTest;
using DigestsOnCuda = GpuTest;

}  // namespace

TEST_F(MeasureOnCuda, CountsWhatTheCpuCountsAndSumsWhatItSums) {
  Weights weights;
  OnDevice device(weights.slices);
  const auto gpu = measure(device.slices()), cpu = measure(weights.slices);
  for (std::size_t i = 0; i < cpu.size(); ++i) expect_equal(gpu[i], cpu[i], weights.slices[i].parameter);
}

TEST_F(MeasureOnCuda, CountsEveryExponentAndTopMantissaBitsWhereTheCpuDoes) {
  std::vector<float> w;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0u, 0xffffu}) {
      const std::uint32_t bits = high << 16 | low;
      std::memcpy(&w.emplace_back(), &bits, 4);
    }
  std::vector slices{slice_of(w)};
  OnDevice device(slices);
  const auto gpu = measure(device.slices()).front(), cpu = measure(slices).front();
  EXPECT_EQ(gpu.histogram.bins, cpu.histogram.bins);
  EXPECT_EQ(gpu.histogram.overflow, cpu.histogram.overflow);
  EXPECT_EQ(gpu.summary.nonfinite, cpu.summary.nonfinite);
  EXPECT_EQ(gpu.summary.zeros, cpu.summary.zeros);
}

TEST_F(MeasureOnCuda, GivesTheSameBitsEveryTime) {
  Weights weights;
  OnDevice device(weights.slices);
  const auto first = measure(device.slices());
  for (int i = 0; i < 5; ++i) {
    const auto again = measure(device.slices());
    EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(Measurement)), 0);
  }
}

TEST_F(MeasureOnCuda, ReadsInitialValuesInDeviceMemoryToo) {
  Weights weights;
  OnDevice device(weights.slices), initial({slice_of(weights.before[4])});
  auto slice = device.slices()[4];
  const auto staged = measure(std::vector{slice}).front();
  slice.initial = static_cast<const float*>(initial.slices()[0].weights.data);
  const auto in_place = measure(std::vector{slice}).front();
  EXPECT_EQ(std::memcmp(&staged, &in_place, sizeof staged), 0);
}

TEST_F(MeasureOnCuda, WaitsForTheStreamThatWritesTheWeights) {
  auto w = normal_weights(1 << 22, "late");
  OnDevice device({slice_of(w)});
  auto& slice = device.slices()[0];
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  slice.weights.stream = stream;
  for (int i = 0; i < 50; ++i) cudaMemsetAsync(slice.weights.data, i, slice.weights.bytes(), stream);
  cudaMemsetAsync(slice.weights.data, 0, slice.weights.bytes(), stream);
  EXPECT_EQ(measure(device.slices()).front().summary.zeros, w.size());
  cudaStreamDestroy(stream);
}

TEST_F(DigestsOnCuda, AreThoseOfTheCpu) {
  Weights weights;
  OnDevice device(weights.slices);
  EXPECT_EQ(digests(device.slices()), digests(weights.slices));
}

}  // namespace weightscope
