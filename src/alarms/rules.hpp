#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alarms/numbers.hpp"

namespace weightscope {

/// A number of a rule that the configuration may set.
struct AlarmKey {
  std::string_view name;
  double value = 0;  ///< default
  double low = 0, high = std::numeric_limits<double>::infinity();
  enum class Kind : std::uint8_t { number, integer } kind = Kind::number;
  std::string_view meaning;
};

/// One thing that a rule holds against the newest numbers.
struct Finding {
  std::string target;
  double value = 0, threshold = 0;
  std::string text;  ///< the same in words
};

inline constexpr std::size_t kMostAlarmKeys = 2;
using AlarmValues = std::array<double, kMostAlarmKeys>;

/// When a rule is asked. program: never; the program itself notices, and its policy has a key of its own.
enum class AlarmOccasion : std::uint8_t { program, update, snapshot, probe };

/// One row = one value of monitor.alarms, its keys, what it says in the reference page, and its judgement: a
/// pure function of recent numbers and the values of its keys (in the order of `keys`).
struct AlarmRule {
  std::string_view name, fires, unit, source, cost;
  AlarmOccasion occasion = AlarmOccasion::program;
  std::array<AlarmKey, kMostAlarmKeys> keys{};  ///< unused ones have no name
  std::vector<Finding> (*judge)(const RecentNumbers&, const WatchedModel&, const AlarmValues&) = nullptr;
  bool band = false;  ///< the keys are its two ends

  std::span<const AlarmKey> used_keys() const {
    std::size_t n = 0;
    while (n < keys.size() && !keys[n].name.empty()) ++n;
    return {keys.data(), n};
  }
};
std::span<const AlarmRule> alarm_rules();
/// Position in alarm_rules(), or -1.
int alarm_rule_index(std::string_view name);

enum class AlarmAction : std::uint8_t { record, checkpoint, stop };

/// An entry of monitor.alarms.
struct AlarmSetting {
  int rule = 0;  ///< position in alarm_rules()
  AlarmValues values{};
  AlarmAction action = AlarmAction::record;

  const AlarmRule& row() const { return alarm_rules()[static_cast<std::size_t>(rule)]; }
};
/// A rule with its defaults.
AlarmSetting alarm_setting(int rule);
/// All rules with their defaults: what runs have that do not say otherwise.
std::vector<AlarmSetting> default_alarms();
/// Whether an alarm may do more than to be recorded.
bool any_acts(const std::vector<AlarmSetting>& settings);
/// The same for the rules that are asked after every update.
bool any_acts_on_updates(const std::vector<AlarmSetting>& settings);

/// Markdown table of all rules: part of docs/config-reference.md and docs/alarms.md.
std::string alarms_reference();

}  // namespace weightscope
