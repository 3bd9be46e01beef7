#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/host_comm.hpp"
#include "core/weight_slice.hpp"
#include "monitor/summary.hpp"

namespace weightscope {

/// Weights after `step` updates, measured. Axes: components[layer·7 + component], heads[(layer·3 + qkv)·H +
/// head], parameters[index]. update_ratio: |Δw|/|w| of the last update per parameter, NaN where there was
/// none.
struct Snapshot {
  std::int64_t step = 0;
  double epoch = 0, tokens = 0, wall_time = 0;
  std::vector<Measurement> components, heads, parameters;
  std::vector<double> update_ratio;
};

struct SnapshotShape {
  int layers = 0, heads = 0, parameters = 0;
};

/// Owner rank of each slice: largest first to the least loaded rank; a pure function of the sizes and the
/// world size.
std::vector<int> share_out(std::span<const WeightSlice> slices, int world);

/// Each rank measures the slices it owns; rank 0 gathers and merges heads → q, k, v → c_attn → parameter in a
/// fixed order, so the result is the same bits at any world size. Collective. Non-root ranks get an empty
/// snapshot. `slices` covers every parameter exactly once (a head-wise c_attn, or a whole tensor).
Snapshot take_snapshot(const HostComm& host, std::span<const WeightSlice> slices, SnapshotShape shape);

}  // namespace weightscope
