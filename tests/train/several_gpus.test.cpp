// The training step on several GPUs, a rank on each, gradients through NCCL: against the fixtures, and in
// graphs against launch by launch. Skipped where ranks would have to share a GPU, unless NCCL is told that
// they may (NCCL_MULTI_RANK_GPU_ENABLE=1, NCCL 2.30).
#include <cstdlib>
#include <string>

#include "model/device.hpp"
#include "support/gpu.hpp"
#include "train/oracle_run.hpp"

namespace weightscope {

struct Way {
  const char* name;
  int zero;
  bool registered;
  Graphs graphs;
};
const Way kWays[] = {{"local", 0, false, Graphs::local},          {"launched", 0, false, Graphs::off},
                     {"recorded", 0, false, Graphs::all},         {"sharded", 1, false, Graphs::local},
                     {"sharded_recorded", 1, false, Graphs::all}, {"registered", 0, true, Graphs::all}};

RunConfig config_of(const Way& way) {
  auto c = oracle_config();
  c.parallel.zero = way.zero, c.parallel.registered_buffers = way.registered, c.parallel.bucket_mb = 0.001;
  c.train.cuda_graphs = way.graphs;
  return c;
}

template <class Base>
class OnSeveralGpus : public OnlyWithGpu<Base> {
 protected:
  void SetUp() override {
    OnlyWithGpu<Base>::SetUp();
    if (this->IsSkipped()) return;
    const auto host = HostComm::world();
    const char* sharing = std::getenv("NCCL_MULTI_RANK_GPU_ENABLE");
    const bool may_share = sharing != nullptr && std::string(sharing) == "1";
    if (host.size() == 1) GTEST_SKIP() << "this is one rank";
    if (host.local_size() > cuda_devices() && !may_share) GTEST_SKIP() << "there is no GPU for each rank";
    place = {Place::cuda, host.local_rank() % cuda_devices()};
    select_device(place.index);
  }
  DevicePlace place;
};
using StepOnSeveralGpus = OnSeveralGpus<testing::TestWithParam<Way>>;
using HalfPrecisionOnSeveralGpus = OnSeveralGpus<testing::Test>;

TEST_P(StepOnSeveralGpus, WeightsMomentsAndLossesOfFiveSteps) {
  OracleRun run(config_of(GetParam()), place);
  ASSERT_TRUE(run.step.overlaps());
  expect_five_steps(run);
}

TEST_P(StepOnSeveralGpus, GraphsComputeWhatLaunchesDo) {
  auto recorded = config_of(GetParam()), launched = recorded;
  recorded.model.dropout = launched.model.dropout = 0.2;
  launched.train.cuda_graphs = Graphs::off;
  OracleRun a(recorded, place), b(launched, place);
  for (std::int64_t s = 0; s < 12; ++s) {
    const auto batch = a.batch(static_cast<std::size_t>(s % 5));
    EXPECT_EQ(a.step.run(s, batch, s % 4 == 3).loss, b.step.run(s, batch, s % 4 == 3).loss) << s;
  }
  for (auto* run : {&a, &b}) run->exchange.await_weights();
  EXPECT_TRUE(at::equal(a.store.master(), b.store.master()));
}

INSTANTIATE_TEST_SUITE_P(Ways, StepOnSeveralGpus, testing::ValuesIn(kWays),
                         [](const auto& way) { return std::string(way.param.name); });

TEST_F(HalfPrecisionOnSeveralGpus, GradientsThatTravelInHalfPrecisionLearnTheSame) {
  auto half = config_of({"half", 0, false, Graphs::all});
  half.parallel.transport = Precision::bf16;
  OracleRun run(half, place);
  for (std::size_t s = 0; s < 5; ++s) {
    const auto loss = run.step.run(static_cast<std::int64_t>(s), run.batch(s), false).loss;
    EXPECT_NEAR(loss / run.expected["train"]["losses"][s].get<double>(), 1, 1e-3) << s;
  }
}

}  // namespace weightscope
