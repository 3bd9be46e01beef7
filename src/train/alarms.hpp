#pragma once
#include <vector>

#include "alarms/watch.hpp"
#include "store/experiment_file.hpp"
#include "store/recent.hpp"

namespace weightscope {

/// The watch of a run, fed with what is recorded; rank 0. Alarms come out as rows of /alarms.
class Alarms {
 public:
  Alarms(const std::vector<AlarmSetting>& settings, WatchedModel model, bool heads_recorded);

  /// Before the first new row: the end of what the run has recorded, whose alarms are on record, too.
  void go_on_from(const RecentRecord& recent);
  std::size_t rows_needed() const { return watch_.rows_needed(); }

  std::vector<AlarmRow> see(const TrainRow& row);
  std::vector<AlarmRow> see(const ProbeRow& row);
  std::vector<AlarmRow> see(const Snapshot& snapshot);

  /// The strongest action of the alarms since the last call.
  AlarmAction take_action();

 private:
  std::vector<AlarmRow> rows(const std::vector<Alarm>& raised);

  AlarmWatch watch_;
  bool heads_;
  AlarmAction action_ = AlarmAction::record;
};

}  // namespace weightscope
