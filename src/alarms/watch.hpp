#pragma once
#include <set>
#include <string>
#include <vector>

#include "alarms/rules.hpp"

namespace weightscope {

/// A rule that has begun to hold something against the run.
struct Alarm {
  std::int64_t step = 0;  ///< updates done
  std::string_view rule;
  Finding finding;
  AlarmAction action = AlarmAction::record;
};

/// Asks the rules whenever there are new numbers. An alarm is raised for what a rule finds now and did not
/// find the last time (per target), so that a state that lasts is one alarm. What comes out depends on the
/// last window + 2 train rows, two snapshots and two probes alone: a watch that has seen those, and whose
/// alarms until then were thrown away, goes on as the one that has seen everything.
class AlarmWatch {
 public:
  AlarmWatch(std::vector<AlarmSetting> settings, WatchedModel model);

  std::vector<Alarm> see(const TrainNumbers& numbers);
  std::vector<Alarm> see(SnapshotNumbers numbers);
  std::vector<Alarm> see(ProbeNumbers numbers);

  /// Train rows to be seen again when a run goes on.
  std::size_t rows_needed() const { return window_ + 2; }
  const WatchedModel& model() const { return model_; }

 private:
  std::vector<Alarm> ask(AlarmOccasion occasion, std::int64_t step);

  std::vector<AlarmSetting> settings_;
  WatchedModel model_;
  std::size_t window_ = 0;  ///< the longest of all rules
  RecentNumbers recent_;
  std::vector<std::set<std::string>> standing_;  ///< targets of what each rule found the last time
};

}  // namespace weightscope
