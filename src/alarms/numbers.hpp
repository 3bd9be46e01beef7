#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace weightscope {

/// What alarm rules see of a run: numbers that stand in the experiment file, bit for bit, so that a run that
/// goes on can read them back and judge them again.
struct TrainNumbers {
  std::int64_t step = 0;  ///< index of the update, from 0
  double loss = 0;        ///< of its batch, before the update
};
struct SnapshotNumbers {
  std::int64_t step = 0;             ///< updates done
  std::vector<double> std;           ///< [layer · 7 + component]
  std::vector<double> head_std;      ///< [(layer · 3 + qkv) · H + head]; empty where heads are not recorded
  std::vector<double> update_ratio;  ///< [parameter]
};
struct ProbeNumbers {
  std::int64_t step = 0;
  std::vector<double> logit_max, entropy;  ///< [layer · H + head]
};

/// The part of the past that rules may look at. The newest is the last row and `snapshot`.
struct RecentNumbers {
  std::deque<TrainNumbers> train;
  std::optional<SnapshotNumbers> before, snapshot;
  std::optional<ProbeNumbers> probe;
};

/// What does not change during a run.
struct WatchedModel {
  int layers = 0, heads = 0;
  std::int64_t block = 0;
  std::vector<std::string> parameters;
  std::vector<std::string> shapes;  ///< "[768, 2304]", one per parameter
};

}  // namespace weightscope
