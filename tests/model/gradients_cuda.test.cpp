// The gradients of the GPU against autograd's on the CPU.
#include "model/device.hpp"
#include "model/pair.hpp"
#include "support/gpu.hpp"

namespace weightscope {

class GradientsOnGpu : public OnlyWithGpu<testing::TestWithParam<Case>> {
 protected:
  void SetUp() override {
    OnlyWithGpu::SetUp();
    if (!IsSkipped()) select_device(0);
  }
  const DevicePlace gpu_{Place::cuda, 0};
};

TEST_P(GradientsOnGpu, EqualAutogradInFloat) {
  expect_agreement(GetParam(), {at::kFloat, at::kFloat}, 1e-5, gpu_);
}
TEST_P(GradientsOnGpu, EqualAutogradInBfloat16) {
  expect_agreement(GetParam(), {at::kBFloat16, at::kFloat}, 0.06, gpu_);
}

INSTANTIATE_TEST_SUITE_P(Models, GradientsOnGpu, testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace weightscope
