#include "monitor/snapshot.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/error.hpp"
#include "monitor/measure.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kComponents = kComponentNames.size();
static_assert(std::is_trivially_copyable_v<Measurement>, "measurements travel as bytes");

bool is_head(const WeightSlice& s) { return s.head >= 0; }
bool is_third(Component c) { return c == Component::q || c == Component::k || c == Component::v; }
std::size_t third(Component c) {
  return static_cast<std::size_t>(c) - static_cast<std::size_t>(Component::q);
}

void check(const WeightSlice& s, SnapshotShape shape) {
  const bool in_block = s.component == Component::none || (s.layer >= 0 && s.layer < shape.layers);
  const bool head_fits = !is_head(s) || (is_third(s.component) && s.head < shape.heads);
  require(in_block && head_fits && s.parameter_index >= 0 && s.parameter_index < shape.parameters,
          Fault::internal, "slice of " + s.parameter + " lies outside the snapshot");
}

/// The measurements of all ranks, gathered, in slice order.
std::vector<Measurement> in_order(const std::vector<std::vector<std::byte>>& gathered,
                                  const std::vector<int>& owner) {
  std::vector<Measurement> ordered(owner.size());
  std::vector<std::size_t> taken(gathered.size());
  for (std::size_t i = 0; i < owner.size(); ++i) {
    const auto r = static_cast<std::size_t>(owner[i]);
    std::memcpy(&ordered[i], gathered[r].data() + taken[r]++ * sizeof(Measurement), sizeof(Measurement));
  }
  return ordered;
}

/// Heads → q, k, v → c_attn, each in the order of its index, whatever the order of the slices.
void merge_components(Snapshot& snapshot, SnapshotShape shape) {
  const auto heads = static_cast<std::size_t>(shape.heads);
  for (std::size_t layer = 0; layer < static_cast<std::size_t>(shape.layers); ++layer) {
    Measurement* row = &snapshot.components[layer * kComponents];
    for (std::size_t part = 0; part < 3; ++part) {
      for (std::size_t h = 0; h < heads; ++h)
        merge(row[1 + part], snapshot.heads[(layer * 3 + part) * heads + h]);
      merge(row[0], row[1 + part]);
    }
  }
}

/// The snapshot that the measurements of all slices make up.
Snapshot put_together(std::span<const WeightSlice> slices, const std::vector<Measurement>& measured,
                      SnapshotShape shape) {
  Snapshot snapshot;
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  snapshot.components.resize(size(shape.layers) * kComponents);
  snapshot.heads.resize(size(shape.layers) * 3 * size(shape.heads));
  snapshot.parameters.resize(size(shape.parameters));
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const auto& s = slices[i];
    if (is_head(s))
      snapshot.heads[(size(s.layer) * 3 + third(s.component)) * size(shape.heads) + size(s.head)] =
          measured[i];
    else if (s.component != Component::none)
      snapshot.components[size(s.layer) * kComponents + size(static_cast<int>(s.component))] = measured[i];
  }
  merge_components(snapshot, shape);
  for (std::size_t i = 0; i < slices.size(); ++i) {
    auto& parameter = snapshot.parameters[size(slices[i].parameter_index)];
    if (is_third(slices[i].component))
      parameter = snapshot.components[size(slices[i].layer) * kComponents];
    else
      merge(parameter, measured[i]);
  }
  return snapshot;
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
  const auto all = host_->gather(std::as_bytes(measured));
  return host_->is_root() ? put_together(slices_, in_order(all, owner_), shape_) : Snapshot{};
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
