#include "ops/cpu/kernels.hpp"
#include "ops/support.hpp"

namespace weightscope::cpu {

std::vector<const Kernels*> supported() {
  std::vector<const Kernels*> all{&kernels_generic()};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&kernels_avx2());
  if (&kernels() == &kernels_avx512()) all.push_back(&kernels_avx512());
  return all;
}

TEST(InstructionSets, AllKernelsOfThisMachineAgree) {
  const Index R = 9, C = 203;
  const auto x = at::randn({R, C}), w = at::randn({C}), b = at::randn({C});
  at::Tensor first_y, first_g;
  for (const auto* k : supported()) {
    SCOPED_TRACE(k->isa);
    at::Tensor y = at::empty({R, C}), mean = at::empty({R}), rstd = at::empty({R}), g = at::empty({R, C});
    k->f32.residual_layer_norm(x.data_ptr<float>(), nullptr, nullptr, w.data_ptr<float>(),
                               b.data_ptr<float>(), y.data_ptr<float>(), mean.data_ptr<float>(),
                               rstd.data_ptr<float>(), R, C);
    k->f32.gelu(x.data_ptr<float>(), g.data_ptr<float>(), R * C, true);
    if (first_y.defined()) {
      EXPECT_LT(ops::relative_error(y, first_y), 1e-6);
      EXPECT_LT(ops::relative_error(g, first_g), 1e-6);
    }
    first_y = y, first_g = g;
  }
}

TEST(InstructionSets, TheChosenOneIsOfThisMachine) {
  bool listed = false;
  for (const auto* k : supported()) listed = listed || k == &kernels();
  EXPECT_TRUE(listed) << kernels().isa;
}

}  // namespace weightscope::cpu
