#include "train/alarms.hpp"

#include <algorithm>
#include <utility>

#include "monitor/statistics.hpp"

namespace weightscope {
namespace {

TrainNumbers numbers_of(const TrainRow& row) { return {row.step, row.loss}; }
ProbeNumbers numbers_of(const ProbeRow& row) {
  return {row.step, row.attention_logit_max, row.attention_entropy};
}
SnapshotNumbers numbers_of(const RecordedSnapshot& s) { return {s.step, s.std, s.head_std, s.update_ratio}; }

std::vector<double> stds(const std::vector<Measurement>& measured) {
  std::vector<double> all;
  for (const auto& m : measured) all.push_back(statistics::std(m.summary));
  return all;
}

}  // namespace

Alarms::Alarms(const std::vector<AlarmSetting>& settings, WatchedModel model, bool heads_recorded)
    : watch_(settings, std::move(model)), heads_(heads_recorded) {}

void Alarms::go_on_from(const RecentRecord& recent) {
  for (const auto& row : recent.train) watch_.see(numbers_of(row));
  for (const auto& row : recent.probes) watch_.see(numbers_of(row));
  for (const auto& snapshot : recent.snapshots) watch_.see(numbers_of(snapshot));
}

std::vector<AlarmRow> Alarms::see(const TrainRow& row) { return rows(watch_.see(numbers_of(row))); }
std::vector<AlarmRow> Alarms::see(const ProbeRow& row) { return rows(watch_.see(numbers_of(row))); }
std::vector<AlarmRow> Alarms::see(const Snapshot& s) {
  return rows(watch_.see(SnapshotNumbers{s.step, stds(s.components),
                                         heads_ ? stds(s.heads) : std::vector<double>{}, s.update_ratio}));
}

std::vector<AlarmRow> Alarms::rows(const std::vector<Alarm>& raised) {
  std::vector<AlarmRow> rows;
  for (const auto& alarm : raised) {
    action_ = std::max(action_, alarm.action);
    rows.push_back({alarm.step, std::string(alarm.rule),
                    alarm.action == AlarmAction::stop ? "error" : "warning", alarm.finding.target,
                    alarm.finding.value, alarm.finding.threshold, alarm.finding.text});
  }
  return rows;
}

AlarmAction Alarms::take_action() { return std::exchange(action_, AlarmAction::record); }

}  // namespace weightscope
