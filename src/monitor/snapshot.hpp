#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/host_comm.hpp"
#include "core/weight_slice.hpp"
#include "monitor/by_target.hpp"
#include "monitor/device_meter.hpp"
#include "monitor/norm_budget.hpp"
#include "monitor/summary.hpp"

namespace weightscope {

/// Weights after `step` updates, measured. Axes as in ByTarget. update_ratio: |Δw|/|w| of the last update per
/// parameter, NaN where there was none.
struct Snapshot {
  std::int64_t step = 0;
  double epoch = 0, tokens = 0, wall_time = 0;
  std::vector<Measurement> components, heads, parameters;
  std::vector<double> update_ratio;
  /// Of the gradient of the last update; empty where there was none, or nobody measured it.
  std::vector<Measurement> gradient_components, gradient_parameters;
  std::vector<NormBudget> budget_components, budget_parameters;  ///< of the last update; likewise
};

/// Takes snapshots of one set of slices: each rank measures those it owns; rank 0 gathers and merges heads →
/// q, k, v → c_attn → parameter in a fixed order, so the result is the same bits at any world size. `slices`
/// covers every parameter exactly once (a head-wise c_attn, or a whole tensor).
class SnapshotTaker {
 public:
  SnapshotTaker(const HostComm& host, std::vector<WeightSlice> slices, SnapshotShape shape);

  /// Of the weights as they are, or on a GPU as the work given to their streams so far leaves them; there the
  /// host does not wait. Collective, as finish().
  void start();
  bool under_way() const { return under_way_; }
  /// What start() began. Non-root ranks get an empty snapshot.
  Snapshot finish();
  /// Whoever writes the weights on this stream of a GPU does it after they have been read: DeviceMeter.
  void wait_before_writing(void* stream) const;

 private:
  const HostComm* host_;
  std::vector<WeightSlice> slices_, mine_;
  SnapshotShape shape_;
  std::vector<int> owner_;
  std::optional<DeviceMeter> meter_;   ///< on a GPU, from the first start() on
  std::vector<Measurement> measured_;  ///< of mine_, elsewhere
  bool under_way_ = false;
};

/// One snapshot. Collective.
Snapshot take_snapshot(const HostComm& host, std::span<const WeightSlice> slices, SnapshotShape shape);

}  // namespace weightscope
