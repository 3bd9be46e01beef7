#include "alarms/judges.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>

#include "core/weight_slice.hpp"

namespace weightscope::judges {
namespace {

constexpr std::array<std::string_view, 3> kThirds{"q", "k", "v"};
/// A median of fewer losses says little; and a spike in the first steps of a run is still a spike.
constexpr std::size_t kFewestLosses = 16;
constexpr std::ptrdiff_t kLevel = 8;  ///< losses whose median is where the loss stands
/// Heads of a layer are compared with each other: of two, neither is the odd one.
constexpr std::size_t kFewestHeads = 3;

std::string text(double value) {
  char shortest[32];
  std::snprintf(shortest, sizeof shortest, "%.4g", value);
  return shortest;
}
std::string place(std::size_t layer, std::string_view component) {
  return "layer " + std::to_string(layer) + ", " + std::string(component);
}
std::string at_head(const std::string& place, std::size_t head) {
  return place + ", head " + std::to_string(head);
}

/// Of finite values. Of an even number the mean of the middle two; NaN of none.
double median(std::vector<double> values) {
  if (values.empty()) return std::nan("");
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

/// F(target, std of a head, median of the heads of its layer and part) for all of them. Heads without a
/// finite weight count for nothing.
template <class F>
void for_each_head(const SnapshotNumbers& snapshot, const WatchedModel& model, F&& f) {
  const auto heads = static_cast<std::size_t>(model.heads);
  if (snapshot.head_std.empty() || heads < kFewestHeads) return;
  for (std::size_t row = 0; row < snapshot.head_std.size() / heads; ++row) {
    const auto* first = snapshot.head_std.data() + row * heads;
    std::vector<double> finite;
    std::copy_if(first, first + heads, std::back_inserter(finite), [](double x) { return std::isfinite(x); });
    if (finite.size() < kFewestHeads) continue;
    const double middle = median(finite);
    for (std::size_t h = 0; h < heads; ++h) f(at_head(place(row / 3, kThirds[row % 3]), h), first[h], middle);
  }
}

}  // namespace

std::vector<Finding> loss_spike(const RecentNumbers& recent, const WatchedModel&, const AlarmValues& values) {
  const auto& rows = recent.train;
  const auto window = std::min(rows.size() - 1, static_cast<std::size_t>(values[1]));
  std::vector<double> before;
  for (auto row = rows.end() - 1 - static_cast<std::ptrdiff_t>(window); row != rows.end() - 1; ++row)
    if (std::isfinite(row->loss)) before.push_back(row->loss);
  if (before.size() < kFewestLosses) return {};
  const double level = median({before.end() - kLevel, before.end()});
  std::vector<double> steps;
  for (std::size_t i = 1; i < before.size(); ++i) steps.push_back(before[i] - before[i - 1]);
  const double trend = median(steps);
  for (double& step : steps) step = std::abs(step - trend);
  // 1.4826: the standard deviation of a normal distribution over its median absolute deviation; √2: a
  // difference has the scatter of two losses. Where the loss hardly moves any change would be a spike: no
  // less than a thousandth of it counts as scatter.
  const double scatter = std::max(1.4826 * median(steps) / std::sqrt(2.0), 1e-3 * std::abs(level));
  const double z = (rows.back().loss - level) / scatter;
  if (!(z > values[0])) return {};
  return {{"loss", z, values[0],
           "loss " + text(rows.back().loss) + " of step " + std::to_string(rows.back().step) + " is " +
               text(z) + " robust standard deviations above " + text(level) + ", where it was"}};
}

std::vector<Finding> std_jump(const RecentNumbers& recent, const WatchedModel&, const AlarmValues& values) {
  if (!recent.before || recent.before->step == 0) return {};
  // Weights that start from zero and move in one direction, at a learning rate that rises with t, grow as t².
  const double growth = static_cast<double>(recent.snapshot->step) / static_cast<double>(recent.before->step);
  const double threshold = std::max(values[0], growth * growth);
  std::vector<Finding> found;
  constexpr auto components = kComponentNames.size();
  for (std::size_t i = 0; i < recent.snapshot->std.size(); ++i) {
    const double now = recent.snapshot->std[i], before = recent.before->std[i];
    if (!(before > 0)) continue;  // started from zero, or never was a number
    const double factor = now > before ? now / before : before / now;
    if (!(factor > threshold)) continue;
    found.push_back({place(i / components, kComponentNames[i % components]), factor, threshold,
                     "std went from " + text(before) + " at step " + std::to_string(recent.before->step) +
                         " to " + text(now)});
  }
  return found;
}

std::vector<Finding> outlier_head(const RecentNumbers& recent, const WatchedModel& model,
                                  const AlarmValues& values) {
  std::vector<Finding> found;
  for_each_head(*recent.snapshot, model, [&](const std::string& target, double std, double middle) {
    const double ratio = std / middle;
    if (ratio > values[0] && middle > 0)
      found.push_back({target, ratio, values[0],
                       "std " + text(std) + " is " + text(ratio) + " times the median of its layer's heads"});
  });
  return found;
}

std::vector<Finding> dead_head(const RecentNumbers& recent, const WatchedModel& model,
                               const AlarmValues& values) {
  std::vector<Finding> found;
  for_each_head(*recent.snapshot, model, [&](const std::string& target, double std, double middle) {
    const double ratio = std / middle;
    if (ratio < values[0])
      found.push_back({target, ratio, values[0],
                       "std " + text(std) + " is " + text(ratio) + " of the median of its layer's heads, " +
                           text(middle)});
  });
  return found;
}

std::vector<Finding> update_ratio(const RecentNumbers& recent, const WatchedModel& model,
                                  const AlarmValues& values) {
  const auto& snapshot = *recent.snapshot;
  // Weights that start from zero and move in random directions, at a learning rate that rises with t, have a
  // ratio of sqrt(3/t).
  const double low = values[0],
               high = std::max(values[1], 2 / std::sqrt(std::max(1.0, static_cast<double>(snapshot.step))));
  std::vector<Finding> found;
  for (std::size_t i = 0; i < snapshot.update_ratio.size(); ++i) {
    const double ratio = snapshot.update_ratio[i];
    const bool matrix = model.shapes[i].find(',') != std::string::npos;
    if (!matrix || !(ratio < low || ratio > high)) continue;
    found.push_back({model.parameters[i], ratio, ratio < low ? low : high,
                     "the last update moved it by " + text(ratio) + " of its norm, outside " + text(low) +
                         " … " + text(high)});
  }
  return found;
}

std::vector<Finding> entropy_collapse(const RecentNumbers& recent, const WatchedModel& model,
                                      const AlarmValues& values) {
  double equal = 0;  // of queries that read all their keys alike
  for (std::int64_t i = 1; i <= model.block; ++i) equal += std::log(static_cast<double>(i));
  equal /= static_cast<double>(model.block);
  std::vector<Finding> found;
  const auto heads = static_cast<std::size_t>(model.heads);
  for (std::size_t layer = 0; layer < static_cast<std::size_t>(model.layers); ++layer) {
    double sum = 0;
    for (std::size_t h = 0; h < heads; ++h) sum += recent.probe->entropy[layer * heads + h];
    const double mean = sum / static_cast<double>(heads), share = mean / equal;
    if (!(share < values[0])) continue;
    found.push_back({"layer " + std::to_string(layer), share, values[0],
                     "attention entropy " + text(mean) + " nats is " + text(share) + " of the " +
                         text(equal) + " of equal attention (mean of the heads)"});
  }
  return found;
}

std::vector<Finding> attention_logit(const RecentNumbers& recent, const WatchedModel& model,
                                     const AlarmValues& values) {
  std::vector<Finding> found;
  const auto heads = static_cast<std::size_t>(model.heads);
  for (std::size_t i = 0; i < recent.probe->logit_max.size(); ++i) {
    const double largest = recent.probe->logit_max[i];
    if (largest <= values[0]) continue;  // NaN is above everything
    found.push_back({at_head("layer " + std::to_string(i / heads), i % heads), largest, values[0],
                     "largest attention logit " + text(largest)});
  }
  return found;
}

}  // namespace weightscope::judges
