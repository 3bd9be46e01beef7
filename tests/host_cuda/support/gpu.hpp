#pragma once
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

namespace weightscope {

/// Nothing is skipped: the host stands in for the GPU.
template <class Base>
class OnlyWithGpu : public Base {};
using GpuTest = testing::Test;
constexpr int kLongWork = 1 << 18;  ///< everything is put off as long as possible, whatever its size

}  // namespace weightscope
