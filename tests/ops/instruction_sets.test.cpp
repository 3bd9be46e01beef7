#include <cstdlib>
#include <set>

#include "core/error.hpp"
#include "ops/cpu/dispatch.hpp"
#include "ops/support.hpp"

namespace weightscope::cpu {

TEST(InstructionSets, AllKernelsOfThisMachineAgree) {
  const Index R = 9, C = 203;
  const auto x = at::randn({R, C}), w = at::randn({C}), b = at::randn({C});
  at::Tensor first_y, first_g;
  for (const auto* k : usable_kernels()) {
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

TEST(InstructionSets, TheChosenOneIsTheNamedOneOrTheLastOfThoseThatRunHere) {
  const auto usable = usable_kernels();
  EXPECT_EQ(&choose(usable, nullptr), usable.back());
  EXPECT_EQ(&choose(usable, ""), usable.back());
  for (const auto* k : usable) EXPECT_EQ(&choose(usable, k->isa), k);
  EXPECT_THROW(choose(usable, "mmx"), Error);
  EXPECT_EQ(&kernels(), &choose(usable, std::getenv("WEIGHTSCOPE_ISA")));
  EXPECT_EQ(usable.front(), &kernels_generic());
  std::set<std::string> names;
  for (const auto* k : usable) names.insert(k->isa);
  EXPECT_EQ(names.size(), usable.size());
}

}  // namespace weightscope::cpu
