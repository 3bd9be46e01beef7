#include "alarms/watch.hpp"

#include <algorithm>
#include <utility>

namespace weightscope {
namespace {

std::size_t window_of(const AlarmSetting& setting) {
  const auto keys = setting.row().used_keys();
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (keys[i].name == "window") return static_cast<std::size_t>(setting.values[i]);
  return 0;
}

}  // namespace

AlarmWatch::AlarmWatch(std::vector<AlarmSetting> settings, WatchedModel model)
    : settings_(std::move(settings)), model_(std::move(model)), standing_(settings_.size()) {
  for (const auto& setting : settings_) window_ = std::max(window_, window_of(setting));
}

std::vector<Alarm> AlarmWatch::ask(AlarmOccasion occasion, std::int64_t step) {
  std::vector<Alarm> raised;
  for (std::size_t i = 0; i < settings_.size(); ++i) {
    const auto& rule = settings_[i].row();
    if (rule.occasion != occasion) continue;
    std::set<std::string> found;
    for (auto& finding : rule.judge(recent_, model_, settings_[i].values)) {
      found.insert(finding.target);
      if (!standing_[i].contains(finding.target))
        raised.push_back({step, rule.name, std::move(finding), settings_[i].action});
    }
    standing_[i] = std::move(found);
  }
  return raised;
}

std::vector<Alarm> AlarmWatch::see(const TrainNumbers& numbers) {
  recent_.train.push_back(numbers);
  if (recent_.train.size() > window_ + 1) recent_.train.pop_front();
  return ask(AlarmOccasion::update, numbers.step + 1);
}

std::vector<Alarm> AlarmWatch::see(SnapshotNumbers numbers) {
  const auto step = numbers.step;
  recent_.before = std::exchange(recent_.snapshot, std::move(numbers));
  return ask(AlarmOccasion::snapshot, step);
}

std::vector<Alarm> AlarmWatch::see(ProbeNumbers numbers) {
  const auto step = numbers.step;
  recent_.probe = std::move(numbers);
  return ask(AlarmOccasion::probe, step);
}

}  // namespace weightscope
