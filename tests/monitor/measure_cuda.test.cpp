// The same call on the same weights in GPU memory: counts must be equal, sums equal to rounding.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.hpp"
#include "monitor/close.hpp"
#include "monitor/device_meter.hpp"
#include "monitor/digest.hpp"
#include "monitor/measure.hpp"
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

using MeasureOnCuda = GpuTest;
using DigestsOnCuda = GpuTest;
using MeterOnCuda = GpuTest;

}  // namespace

TEST_F(MeasureOnCuda, CountsWhatTheCpuCountsAndSumsWhatItSums) {
  AwkwardWeights weights;
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
  AwkwardWeights weights;
  OnDevice device(weights.slices);
  const auto first = measure(device.slices());
  for (int i = 0; i < 5; ++i) {
    const auto again = measure(device.slices());
    EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(Measurement)), 0);
  }
}

TEST_F(MeasureOnCuda, ReadsInitialValuesInDeviceMemoryToo) {
  AwkwardWeights weights;
  OnDevice device(weights.slices), initial({slice_of(weights.before[4])});
  auto slice = device.slices()[4];
  const auto staged = measure(std::vector{slice}).front();
  slice.initial = static_cast<const float*>(initial.slices()[0].weights.data);
  const auto in_place = measure(std::vector{slice}).front();
  EXPECT_EQ(
      std::memcmp(static_cast<const void*>(&staged), static_cast<const void*>(&in_place), sizeof staged), 0);
}

TEST_F(MeasureOnCuda, WaitsForTheStreamThatWritesTheWeights) {
  auto w = normal_weights(kLongWork / 4, "late");
  OnDevice device({slice_of(w)});
  auto& slice = device.slices()[0];
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  slice.weights.stream = stream;
  for (int round = 0; round < 4; ++round) {
    for (int i = 1; i < 50; ++i) cudaMemsetAsync(slice.weights.data, i, slice.weights.bytes(), stream);
    cudaMemsetAsync(slice.weights.data, 0, slice.weights.bytes(), stream);
    EXPECT_EQ(measure(device.slices()).front().summary.zeros, w.size());
    cudaMemsetAsync(slice.weights.data, 1, slice.weights.bytes(), stream);
    cudaStreamSynchronize(stream);
  }
  cudaStreamDestroy(stream);
}

TEST_F(MeasureOnCuda, TakesWeightsThatBeginAnywhere) {
  AwkwardWeights weights;
  OnDevice device(weights.slices);
  auto gpu_slices = device.slices(), cpu_slices = weights.slices;
  for (auto* slices : {&gpu_slices, &cpu_slices})
    for (auto& s : *slices) {
      s.weights.data = static_cast<float*>(s.weights.data) + 1, s.weights.count -= 1;
      if (s.initial != nullptr) ++s.initial;
    }
  const auto gpu = measure(gpu_slices), cpu = measure(cpu_slices);
  for (std::size_t i = 0; i < cpu.size(); ++i) expect_equal(gpu[i], cpu[i], cpu_slices[i].parameter);
}

TEST_F(MeasureOnCuda, TakesConstantAndHugeValues) {
  std::vector<float> zeros(70000), ones(70000, 1.0F), tenths(70000, 0.1F), huge(70000, 3e38F);
  std::vector slices{slice_of(zeros, "0"), slice_of(ones, "1"), slice_of(tenths, "0.1"),
                     slice_of(huge, "3e38")};
  OnDevice device(slices);
  const auto gpu = measure(device.slices()), cpu = measure(slices);
  for (std::size_t i = 0; i < cpu.size(); ++i) expect_equal(gpu[i], cpu[i], slices[i].parameter);
}

TEST_F(MeterOnCuda, MeasuresAgainAndAgain) {
  AwkwardWeights weights;
  OnDevice device(weights.slices);
  DeviceMeter meter(device.slices());
  const auto cpu = measure(weights.slices);
  std::vector<Measurement> first;
  for (int i = 0; i < 6; ++i) {
    meter.start();
    if (i == 0) continue;  // two at once
    EXPECT_EQ(meter.under_way(), 2);
    const auto gpu = meter.finish();
    if (first.empty()) first.assign(gpu.begin(), gpu.end());
    EXPECT_EQ(std::memcmp(first.data(), gpu.data(), first.size() * sizeof(Measurement)), 0);
    for (std::size_t s = 0; s < cpu.size(); ++s) expect_equal(gpu[s], cpu[s], weights.slices[s].parameter);
  }
  meter.start();
  EXPECT_THROW(meter.start(), Error);
  meter.finish(), meter.finish();
  EXPECT_TRUE(meter.ready());
  EXPECT_THROW(meter.finish(), Error);
}

TEST_F(MeterOnCuda, ReadsTheWeightsBeforeTheNextUpdateWritesThem) {
  auto w = normal_weights(kLongWork, "held");
  std::vector slices{slice_of(w)};
  OnDevice device(slices);
  auto& weights = device.slices()[0].weights;
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  weights.stream = stream;
  DeviceMeter meter(device.slices());
  for (int i = 0; i < 8; ++i) {
    cudaMemcpyAsync(weights.data, w.data(), weights.bytes(), cudaMemcpyHostToDevice, stream);
    meter.start();
    meter.wait_before_writing(stream);
    cudaMemsetAsync(weights.data, 0, weights.bytes(), stream);
    expect_equal(meter.finish().front(), measure(slices).front(), "before the update");
    cudaStreamSynchronize(stream);
  }
  cudaStreamDestroy(stream);
}

TEST_F(DigestsOnCuda, AreThoseOfTheCpu) {
  AwkwardWeights weights;
  OnDevice device(weights.slices);
  EXPECT_EQ(digests(device.slices()), digests(weights.slices));
}

}  // namespace weightscope
