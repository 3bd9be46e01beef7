#pragma once
#include <cuda_runtime.h>
#include <gtest/gtest.h>

namespace weightscope {

/// A test that is skipped where there is no GPU. Link CUDA::cudart.
class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "there is no GPU";
  }
};

}  // namespace weightscope
