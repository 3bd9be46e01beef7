// Each rule: silent on what is calm, and on what is planted says where, how much and once.
#include "alarms/support.hpp"

namespace weightscope {
namespace {

AlarmWatch watch(std::string_view name, double first = -1) {
  auto setting = rule(name);
  if (first >= 0) setting.values[0] = first;
  return {{setting}, small_model()};
}

}  // namespace

TEST(AlarmRules, AreFoundByTheirNames) {
  for (std::size_t i = 0; i < alarm_rules().size(); ++i)
    EXPECT_EQ(alarm_rule_index(alarm_rules()[i].name), static_cast<int>(i));
  EXPECT_EQ(alarm_rule_index("loss"), -1);
  for (const auto& rule : alarm_rules()) {
    EXPECT_EQ(rule.judge == nullptr, rule.occasion == AlarmOccasion::program) << rule.name;
    for (const auto& key : rule.used_keys())
      EXPECT_TRUE(key.low <= key.value && key.value <= key.high) << rule.name;
  }
}

TEST(AlarmRules, AreSilentWhenNothingIsWrong) {
  AlarmWatch all(default_alarms(), small_model());
  for (std::int64_t step = 0; step < 500; ++step) {
    if (step % 10 == 0) {
      EXPECT_EQ(names(all.see(calm_snapshot(step))), Names{});
    }
    if (step % 20 == 0) {
      EXPECT_EQ(names(all.see(calm_probe(step))), Names{});
    }
    EXPECT_EQ(names(all.see(calm_loss(step))), Names{});
  }
}

TEST(AlarmRules, LossSpikeIsInRobustStandardDeviationsAboveWhereTheLossWas) {
  auto alarms = watch("loss_spike");
  for (std::int64_t k = 0; k < 22; ++k)
    EXPECT_TRUE(alarms.see({k, 3 + 0.02 * static_cast<double>(k * k % 7)}).empty());
  const auto raised = alarms.see({22, 4.0});
  ASSERT_EQ(names(raised), Names{"23 loss_spike loss"});
  // Level: the median of 0 1 4 2 2 4 1 0, times 0.02 above 3. Differences: three times -3 -2 -1 0 1 2 3,
  // times 0.02.
  EXPECT_NEAR(raised[0].finding.value, (4 - 3.03) / (1.4826 * 0.04 / std::sqrt(2.0)), 1e-9);
  EXPECT_EQ(raised[0].finding.threshold, rule("loss_spike").values[0]);
  EXPECT_NE(raised[0].finding.text.find("loss 4 of step 22 is 23.13 robust standard deviations above 3.03"),
            std::string::npos)
      << raised[0].finding.text;
}

TEST(AlarmRules, LossSpikeIsSeenWhileTheLossFallsFast) {
  auto alarms = watch("loss_spike");
  for (std::int64_t step = 0; step < 30; ++step) EXPECT_TRUE(alarms.see(calm_loss(step)).empty());
  EXPECT_EQ(alarms.see({30, 4.0}).size(), 1u)
      << "below most losses of its window, but not below the last ones";
}

TEST(AlarmRules, LossSpikeIsNotHiddenByAnEarlierOne) {
  auto alarms = watch("loss_spike");
  for (std::int64_t step = 200; step < 240; ++step) alarms.see(calm_loss(step));
  EXPECT_EQ(alarms.see({240, 100.0}).size(), 1u);
  for (std::int64_t step = 241; step < 260; ++step) EXPECT_TRUE(alarms.see(calm_loss(step)).empty());
  EXPECT_EQ(alarms.see({260, 3.0}).size(), 1u) << "a window with mean and deviation would not see it";
}

TEST(AlarmRules, LossSpikeWaitsForSixteenLossesAndLeavesOutWhatIsNotFinite) {
  auto alarms = watch("loss_spike");
  for (std::int64_t step = 0; step < 15; ++step) alarms.see({step, 3.0});
  EXPECT_TRUE(alarms.see({15, 9.0}).empty());
  EXPECT_TRUE(alarms.see({16, std::nan("")}).empty());
  for (std::int64_t step = 17; step < 40; ++step) EXPECT_TRUE(alarms.see({step, 3.0}).empty());
  EXPECT_TRUE(alarms.see({40, 3.02}).empty()) << "a loss that stands still is not a yardstick";
  EXPECT_EQ(alarms.see({41, 3.2}).size(), 1u);
}

TEST(AlarmRules, StdJumpNamesLayerAndComponentInBothDirections) {
  auto alarms = watch("std_jump");
  alarms.see(calm_snapshot(90));
  auto next = calm_snapshot(100);
  next.std[7 + 2] *= 2.5, next.std[3] /= 3, next.std[0] *= 1.4;
  const auto raised = alarms.see(next);
  ASSERT_EQ(names(raised), (Names{"100 std_jump layer 0, v", "100 std_jump layer 1, k"}));
  EXPECT_NEAR(raised[0].finding.value, 3, 1e-12);
  EXPECT_NEAR(raised[1].finding.value, 2.5, 1e-12);
}

TEST(AlarmRules, StdJumpKnowsThatWhatStartsFromZeroGrowsFast) {
  auto alarms = watch("std_jump");
  for (std::int64_t step = 0; step <= 64; step = step == 0 ? 1 : 2 * step) {
    auto s = calm_snapshot(step);
    s.std[5] = 1e-6 * static_cast<double>(step * step);
    EXPECT_EQ(names(alarms.see(s)), Names{}) << step;
  }
}

TEST(AlarmRules, HeadsAreComparedWithThoseOfTheirLayer) {
  auto outlier = watch("outlier_head"), dead = watch("dead_head");
  auto s = calm_snapshot(10);
  s.head_std[(1 * 3 + 1) * 4 + 2] = 0.09;  // layer 1, k
  s.head_std[(0 * 3 + 2) * 4 + 0] = 0;     // layer 0, v
  EXPECT_EQ(names(outlier.see(s)), Names{"10 outlier_head layer 1, k, head 2"});
  EXPECT_EQ(names(dead.see(s)), Names{"10 dead_head layer 0, v, head 0"});
  s = calm_snapshot(20);
  s.head_std[3] = 0.5, s.head_std[0] = std::nan("");
  EXPECT_EQ(names(outlier.see(s)), Names{"20 outlier_head layer 0, q, head 3"})
      << "of the three that are numbers";
  s.head_std[1] = std::nan("");
  EXPECT_EQ(names(outlier.see(s)), Names{});
  auto model = small_model();
  model.heads = 2;
  for (const auto* name : {"outlier_head", "dead_head"}) {
    AlarmWatch two({rule(name)}, model);
    EXPECT_TRUE(two.see(s).empty()) << "of two heads neither is the odd one";
    auto unrecorded = s;
    unrecorded.head_std.clear();
    EXPECT_TRUE(watch(name).see(unrecorded).empty());
  }
}

TEST(AlarmRules, UpdateRatioHasABandForMatricesThatIsWideAtTheStart) {
  auto alarms = watch("update_ratio");
  const auto raised = [&](std::int64_t step, double ratio) {
    auto s = calm_snapshot(step);
    s.update_ratio[0] = ratio;
    return alarms.see(s).size();
  };
  EXPECT_EQ(raised(0, std::nan("")), 0u);
  EXPECT_EQ(raised(1, 1), 0u) << "started from zero";
  EXPECT_EQ(raised(25, 0.39), 0u);
  EXPECT_EQ(raised(26, 0.41), 1u);
  EXPECT_EQ(raised(1000, 0.09), 0u);
  EXPECT_EQ(raised(1001, 0.11), 1u);
  EXPECT_EQ(raised(1002, 0.05), 0u);
  EXPECT_EQ(raised(1003, 1e-8), 1u) << "stands still";
}

TEST(AlarmRules, ProbesShowCollapsedAttentionAndLargeLogits) {
  auto entropy = watch("entropy_collapse"), logit = watch("attention_logit");
  auto p = calm_probe(30);
  for (std::size_t h = 4; h < 8; ++h) p.entropy[h] = 0.3;
  p.entropy[0] = 0;  // one head that looks at one token only is an ordinary head
  p.logit_max[6] = 101, p.logit_max[1] = 99, p.logit_max[7] = std::nan("");
  const auto collapsed = entropy.see(p);
  ASSERT_EQ(names(collapsed), Names{"30 entropy_collapse layer 1"});
  double equal = 0;
  for (int i = 1; i <= 64; ++i) equal += std::log(i) / 64;
  EXPECT_NEAR(collapsed[0].finding.value, 0.3 / equal, 1e-12);
  EXPECT_EQ(names(logit.see(p)),
            (Names{"30 attention_logit layer 1, head 2", "30 attention_logit layer 1, head 3"}));
}

}  // namespace weightscope
