#include "monitor/snapshot.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "monitor/measure.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

SnapshotShape shape_of(const MadeUpModel& m) { return {m.layers, m.heads, static_cast<int>(m.names.size())}; }

std::uint64_t accounted(const Measurement& m) {
  return std::accumulate(m.histogram.bins.begin(), m.histogram.bins.end(),
                         m.histogram.overflow + m.summary.nonfinite);
}

std::uint32_t checksum(const Snapshot& s) {
  std::uint32_t crc = 0;
  for (const auto* part : {&s.components, &s.heads, &s.parameters})
    crc = crc32c(std::as_bytes(std::span(*part)), crc);
  return crc;
}

}  // namespace

TEST(ShareOut, BalancesTheElementsAndDependsOnNothingElse) {
  MadeUpModel model(12, 4);
  const auto slices = model.slices();
  std::size_t total = 0, largest = 0;
  for (const auto& s : slices) total += s.weights.count, largest = std::max(largest, s.weights.count);
  for (const int world : {1, 2, 3, 4, 7}) {
    const auto owner = share_out(slices, world);
    EXPECT_EQ(owner, share_out(slices, world));
    std::vector<std::size_t> load(static_cast<std::size_t>(world));
    for (std::size_t i = 0; i < slices.size(); ++i)
      load[static_cast<std::size_t>(owner[i])] += slices[i].weights.count;
    // Longest processing time first is within 4/3 of the best, and the best is at least the mean (Graham
    // 1969).
    EXPECT_LE(*std::max_element(load.begin(), load.end()),
              std::max(largest, total / static_cast<std::size_t>(world)) * 4 / 3)
        << world;
  }
}

TEST(TakeSnapshot, AccountsForEveryElementAtAnyWorldSize) {
  const auto host = HostComm::world();
  MadeUpModel model;
  model.tensors[1][5] = std::numeric_limits<float>::quiet_NaN();
  model.tensors[2][0] = 17;
  const auto snapshot = take_snapshot(host, model.slices(), shape_of(model));
  if (!host.is_root()) {
    EXPECT_TRUE(snapshot.components.empty() && snapshot.heads.empty() && snapshot.parameters.empty());
    return;
  }
  ASSERT_EQ(snapshot.parameters.size(), model.names.size());
  for (std::size_t p = 0; p < model.names.size(); ++p) {
    EXPECT_EQ(snapshot.parameters[p].summary.count, model.tensors[p].size()) << model.names[p];
    EXPECT_EQ(accounted(snapshot.parameters[p]), model.tensors[p].size()) << model.names[p];
  }
  EXPECT_EQ(snapshot.parameters[1].summary.nonfinite, 1u);
  EXPECT_EQ(snapshot.parameters[2].histogram.overflow, 1u);
  for (const auto* part : {&snapshot.components, &snapshot.heads})
    for (const auto& m : *part) EXPECT_EQ(accounted(m), m.summary.count);
}

TEST(TakeSnapshot, PutsEachTensorWhereItsAxesSay) {
  const auto host = HostComm::world();
  MadeUpModel model;
  const auto snapshot = take_snapshot(host, model.slices(), shape_of(model));
  if (!host.is_root()) return;
  for (std::size_t l = 0; l < 3; ++l) {
    auto& fused = model.tensors[1 + 5 * l];
    const std::size_t third = fused.size() / 3, head = third / 2;
    for (std::size_t part = 0; part < 3; ++part)
      for (std::size_t h = 0; h < 2; ++h) {
        std::vector<float> rows(fused.begin() + static_cast<std::ptrdiff_t>(part * third + h * head),
                                fused.begin() + static_cast<std::ptrdiff_t>(part * third + (h + 1) * head));
        const auto expected = measure(std::vector{slice_of(rows)}).front();
        const auto& found = snapshot.heads[(l * 3 + part) * 2 + h];
        EXPECT_EQ(found.histogram.bins, expected.histogram.bins);
        EXPECT_EQ(found.summary.mean, expected.summary.mean);
      }
    const auto whole = measure(std::vector{slice_of(fused)}).front();
    EXPECT_EQ(snapshot.components[l * 7].histogram.bins, whole.histogram.bins);
    EXPECT_NEAR(snapshot.components[l * 7].summary.m4, whole.summary.m4, 1e-12 * whole.summary.m4);
    EXPECT_EQ(snapshot.parameters[1 + 5 * l].summary.m2, snapshot.components[l * 7].summary.m2);
    for (std::size_t c = 0; c < 3; ++c) {
      const auto expected = measure(std::vector{slice_of(model.tensors[2 + 5 * l + c])}).front();
      EXPECT_EQ(snapshot.components[l * 7 + 4 + c].summary.m2, expected.summary.m2);
      EXPECT_EQ(snapshot.parameters[2 + 5 * l + c].summary.m2, expected.summary.m2);
    }
  }
}

TEST(TakeSnapshot, GivesTheBitsOfOneRankAtAnyWorldSize) {
  const auto host = HostComm::world();
  MadeUpModel model;
  const auto snapshot = take_snapshot(host, model.slices(), shape_of(model));
  if (!host.is_root()) return;
  // What a single rank would do, without communication: measure all, merge in the same order.
  Snapshot alone;
  const auto slices = model.slices();
  const auto measured = measure(slices, 1);
  alone.components.resize(21), alone.heads.resize(18), alone.parameters.resize(model.names.size());
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const auto layer = static_cast<std::size_t>(slices[i].layer);
    const auto component = static_cast<std::size_t>(slices[i].component);
    if (slices[i].head >= 0)
      alone.heads[(layer * 3 + component - 1) * 2 + static_cast<std::size_t>(slices[i].head)] = measured[i];
    else
      alone.parameters[static_cast<std::size_t>(slices[i].parameter_index)] = measured[i];
    if (slices[i].component != Component::none) merge(alone.components[layer * 7 + component], measured[i]);
  }
  for (std::size_t l = 0; l < 3; ++l) {
    for (std::size_t part = 1; part <= 3; ++part)
      merge(alone.components[l * 7], alone.components[l * 7 + part]);
    alone.parameters[1 + 5 * l] = alone.components[l * 7];
  }
  EXPECT_EQ(checksum(snapshot), checksum(alone));
}

TEST(TakeSnapshot, RefusesSlicesOutsideItsShape) {
  const auto host = HostComm::world();
  MadeUpModel model;
  EXPECT_THROW(take_snapshot(host, model.slices(), {2, 2, 16}), Error);
  EXPECT_THROW(take_snapshot(host, model.slices(), {3, 1, 16}), Error);
  EXPECT_THROW(take_snapshot(host, model.slices(), {3, 2, 15}), Error);
}

}  // namespace weightscope
