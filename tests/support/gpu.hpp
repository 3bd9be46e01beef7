#pragma once
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

namespace weightscope {

/// Tests that are skipped where there is no GPU. Link CUDA::cudart; ctest takes the text for a skip.
template <class Base>
class OnlyWithGpu : public Base {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "there is no GPU";
    Base::SetUp();
  }
};
using GpuTest = OnlyWithGpu<testing::Test>;
constexpr int kLongWork = 1 << 24;  ///< elements that keep a GPU busy while the host goes on

}  // namespace weightscope
