#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "alarms/watch.hpp"

namespace weightscope {

inline AlarmSetting rule(std::string_view name) { return alarm_setting(alarm_rule_index(name)); }

/// Two layers of four heads; a matrix and a bias.
inline WatchedModel small_model() {
  return {2, 4, 64, {"h.0.mlp.c_fc.weight", "h.0.mlp.c_fc.bias"}, {"[64, 16]", "[64]"}};
}
inline SnapshotNumbers calm_snapshot(std::int64_t step) {
  SnapshotNumbers s;
  s.step = step;
  for (int i = 0; i < 2 * 7; ++i) s.std.push_back(0.02 + 0.001 * i);
  for (int i = 0; i < 2 * 3 * 4; ++i) s.head_std.push_back(0.02 + 0.001 * (i % 4));
  s.update_ratio = {0.01, 0.9};
  return s;
}
inline ProbeNumbers calm_probe(std::int64_t step) {
  return {step, std::vector<double>(8, 5.0), std::vector<double>(8, 2.0)};
}
/// A loss that falls and scatters, as they do.
inline TrainNumbers calm_loss(std::int64_t step) {
  const auto t = static_cast<double>(step);
  return {step, 2 + 3 * std::exp(-t / 40) + 0.05 * std::sin(12.9898 * t) + 0.03 * std::cos(78.233 * t * t)};
}

/// "step rule target" of each.
inline std::vector<std::string> names(const std::vector<Alarm>& alarms) {
  std::vector<std::string> all;
  for (const auto& a : alarms)
    all.push_back(std::to_string(a.step) + " " + std::string(a.rule) + " " + a.finding.target);
  return all;
}
using Names = std::vector<std::string>;

}  // namespace weightscope
