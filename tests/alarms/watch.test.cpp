#include "alarms/support.hpp"

namespace weightscope {
namespace {

/// A run in which things go wrong now and then.
TrainNumbers losses(std::int64_t step) {
  auto numbers = calm_loss(step);
  if (step % 37 == 36 || step % 37 == 0) numbers.loss += 4;
  if (step % 50 == 17) numbers.loss = std::nan("");
  return numbers;
}
SnapshotNumbers snapshots(std::int64_t step) {
  auto s = calm_snapshot(step);
  if (step / 10 % 3 == 1) s.std[4] *= 3;
  if (step / 20 % 2 == 1) s.head_std[9] = 0;
  return s;
}
ProbeNumbers probes(std::int64_t step) {
  auto p = calm_probe(step);
  if (step / 40 % 2 == 1) p.logit_max[3] = 1e4;
  return p;
}

/// Everything that steps [from, to) bring, in the order in which training meets it.
Names alarms_of(AlarmWatch& watch, std::int64_t from, std::int64_t to) {
  Names all;
  const auto add = [&](const std::vector<Alarm>& raised) {
    for (auto& name : names(raised)) all.push_back(name);
  };
  for (std::int64_t step = from; step < to; ++step) {
    add(watch.see(losses(step)));
    if ((step + 1) % 20 == 0) add(watch.see(probes(step + 1)));
    if ((step + 1) % 10 == 0) add(watch.see(snapshots(step + 1)));
  }
  return all;
}

}  // namespace

TEST(AlarmWatch, AStateThatLastsIsOneAlarm) {
  auto setting = rule("attention_logit");
  AlarmWatch watch({setting}, small_model());
  auto bad = calm_probe(1);
  bad.logit_max[0] = 1000;
  EXPECT_EQ(watch.see(bad).size(), 1u);
  EXPECT_EQ(watch.see(bad).size(), 0u);
  bad.logit_max[5] = 1000;
  EXPECT_EQ(names(watch.see(bad)), Names{"1 attention_logit layer 1, head 1"});
  EXPECT_EQ(watch.see(calm_probe(2)).size(), 0u);
  EXPECT_EQ(watch.see(bad).size(), 2u) << "it was over in between";
}

TEST(AlarmWatch, RulesCanStandTwiceWithDifferentActions) {
  auto low = rule("attention_logit"), high = low;
  low.values[0] = 10, high.values[0] = 50, high.action = AlarmAction::stop;
  AlarmWatch watch({low, high}, small_model());
  auto probe = calm_probe(1);
  probe.logit_max[0] = 20;
  ASSERT_EQ(watch.see(probe).size(), 1u);
  probe.logit_max[0] = 60;
  const auto raised = watch.see(probe);
  ASSERT_EQ(raised.size(), 1u);
  EXPECT_EQ(raised[0].action, AlarmAction::stop);
}

TEST(AlarmWatch, WhatItHasSeenLongAgoDoesNotMatter) {
  AlarmWatch whole(default_alarms(), small_model());
  const auto before = alarms_of(whole, 0, 300);
  EXPECT_GT(before.size(), 20u);
  for (const std::int64_t at : {300, 333, 334, 340, 350}) {
    AlarmWatch undisturbed(default_alarms(), small_model()), resumed(default_alarms(), small_model());
    alarms_of(undisturbed, 0, at);
    const auto rows = static_cast<std::int64_t>(resumed.rows_needed());
    for (std::int64_t step = at - rows; step < at; ++step) resumed.see(losses(step));
    for (const std::int64_t ago : {10, 0}) resumed.see(snapshots(at / 10 * 10 - ago));
    for (const std::int64_t ago : {20, 0}) resumed.see(probes(at / 20 * 20 - ago));
    EXPECT_EQ(alarms_of(undisturbed, at, 500), alarms_of(resumed, at, 500)) << at;
  }
}

}  // namespace weightscope
