#include "monitor/snapshot.hpp"

#include <utility>

#include "core/error.hpp"
#include "monitor/measure.hpp"

namespace weightscope {
namespace {

bool is_head(const WeightSlice& s) { return s.head >= 0; }

void check(const WeightSlice& s, SnapshotShape shape) {
  const bool in_block = s.component == Component::none || (s.layer >= 0 && s.layer < shape.layers);
  const bool head_fits = !is_head(s) || (is_third(s.component) && s.head < shape.heads);
  require(in_block && head_fits && s.parameter_index >= 0 && s.parameter_index < shape.parameters,
          Fault::internal, "slice of " + s.parameter + " lies outside the snapshot");
}

}  // namespace

SnapshotTaker::SnapshotTaker(const HostComm& host, std::vector<WeightSlice> slices, SnapshotShape shape)
    : host_(&host), slices_(std::move(slices)), shape_(shape), owner_(share_out(slices_, host.size())) {
  for (const auto& s : slices_) check(s, shape);
  for (std::size_t i = 0; i < slices_.size(); ++i)
    if (owner_[i] == host.rank()) mine_.push_back(slices_[i]);
}

void SnapshotTaker::start() {
  host_->together([&] {
    if (mine_.empty() || mine_.front().weights.place != Place::cuda) {
      measured_ = measure(mine_);
      return;
    }
    if (!meter_) meter_.emplace(mine_);
    meter_->start();
  });
  under_way_ = true;
}

Snapshot SnapshotTaker::finish() {
  under_way_ = false;
  std::span<const Measurement> measured = measured_;
  host_->together([&] {
    if (meter_) measured = meter_->finish();
  });
  auto all = gather_by_target(*host_, slices_, owner_, shape_, measured);
  Snapshot snapshot;
  snapshot.components = std::move(all.components), snapshot.heads = std::move(all.heads),
  snapshot.parameters = std::move(all.parameters);
  return snapshot;
}

void SnapshotTaker::wait_before_writing(void* stream) const {
  if (meter_) meter_->wait_before_writing(stream);
}

Snapshot take_snapshot(const HostComm& host, std::span<const WeightSlice> slices, SnapshotShape shape) {
  SnapshotTaker taker(host, {slices.begin(), slices.end()}, shape);
  taker.start();
  return taker.finish();
}

}  // namespace weightscope
