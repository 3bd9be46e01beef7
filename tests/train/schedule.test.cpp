#include "train/schedule.hpp"

#include <gtest/gtest.h>

#include "train/cadence.hpp"

namespace weightscope {

RunConfig config_of(ScheduleName name) {
  RunConfig c;
  c.optimizer.lr = 1, c.train.steps = 110, c.schedule = {name, 10, 0.1, 0.2};
  return c;
}

TEST(Schedule, WarmsUpLinearlyToThePeak) {
  const auto c = config_of(ScheduleName::cosine);
  EXPECT_DOUBLE_EQ(learning_rate(c, 0), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(c, 9), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(c, 10), 1.0);
}

TEST(Schedule, EachShapeHasItsMiddleAndItsEnd) {
  EXPECT_NEAR(learning_rate(config_of(ScheduleName::cosine), 60), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(config_of(ScheduleName::linear), 60), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(config_of(ScheduleName::constant), 60), 1, 1e-12);
  EXPECT_NEAR(learning_rate(config_of(ScheduleName::wsd), 60), 1, 1e-12);
  EXPECT_NEAR(learning_rate(config_of(ScheduleName::wsd), 99), 0.55, 1e-12);
  for (const auto name : {ScheduleName::cosine, ScheduleName::linear, ScheduleName::wsd})
    EXPECT_NEAR(learning_rate(config_of(name), 110), 0.1, 1e-12);
}

TEST(Cadence, RecordsPowersOfTwoUntilTheCadenceTakesOver) {
  RunConfig c;
  c.train.steps = 100, c.monitor.every.steps = 20;
  std::vector<std::int64_t> steps;
  for (std::int64_t s = 0; s <= 100; ++s)
    if (snapshot_due(c, s, 1000)) steps.push_back(s);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 1, 2, 4, 8, 16, 20, 40, 60, 80, 100}));
  c.monitor.early = Early::none;
  EXPECT_FALSE(snapshot_due(c, 4, 1000));
}

TEST(Cadence, CountsEpochs) {
  RunConfig c;
  c.train.steps = 100, c.train.global_batch = 8, c.monitor.every = {0, 50}, c.monitor.early = Early::none;
  // 8 of 16 blocks a step: an epoch every 2 steps, 50 epochs every 100.
  EXPECT_TRUE(snapshot_due(c, 100, 16));
  EXPECT_FALSE(snapshot_due(c, 99, 16));
  c.train.steps = 1000;
  EXPECT_TRUE(snapshot_due(c, 200, 16));
  EXPECT_FALSE(snapshot_due(c, 250, 16));
}

}  // namespace weightscope
