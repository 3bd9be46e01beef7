#include "monitor/digest.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <numeric>

#include "core/error.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

void flip(float& x, int bit) { x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) ^ (1u << bit)); }

}  // namespace

TEST(Digests, AreTheSameForAnyNumberOfThreads) {
  MadeUpModel model;
  const auto one = digests(model.slices(), 1);
  for (const int threads : {2, 3, 4, 7}) EXPECT_EQ(digests(model.slices(), threads), one);
}

TEST(Digests, ChangeWithAnyFlippedBitOfAnyElement) {
  auto w = normal_weights(17, "small");
  const std::vector<WeightSlice> slices{slice_of(w)};
  const auto before = digests(slices);
  for (auto& x : w)
    for (int bit = 0; bit < 32; ++bit) {
      flip(x, bit);
      EXPECT_NE(digests(slices), before);
      flip(x, bit);
    }
  EXPECT_EQ(digests(slices), before);
  std::swap(w[3], w[4]);
  EXPECT_NE(digests(slices), before) << "two elements have changed places";
  std::swap(w[3], w[4]);
  w[6] = 0.0f;
  const auto zero = digests(slices);
  w[6] = -0.0f;
  EXPECT_NE(digests(slices), zero) << "the sign of a zero counts";
}

TEST(CompareReplicas, FindsNothingWhenAllAreEqual) {
  const auto host = HostComm::world();
  MadeUpModel model;
  EXPECT_FALSE(compare_replicas(host, model.slices()).has_value());
}

TEST(CompareReplicas, NamesTheFirstTensorAndTheRankOfOneFlippedBit) {
  const auto host = HostComm::world();
  for (const int bit : {0, 1, 12, 22, 23, 30, 31})
    for (const std::size_t tensor : {0u, 1u, 8u, 15u}) {
      MadeUpModel model;
      const int culprit = host.size() - 1;
      auto& w = model.tensors[tensor];
      if (host.rank() == culprit) flip(w[w.size() - 1 - static_cast<std::size_t>(bit)], bit);
      const auto found = compare_replicas(host, model.slices());
      if (host.size() == 1) {
        EXPECT_FALSE(found.has_value());
        continue;
      }
      ASSERT_TRUE(found.has_value()) << "bit " << bit << " of " << model.names[tensor];
      EXPECT_EQ(found->parameter, model.names[tensor]);
      EXPECT_EQ(found->ranks, std::vector{culprit});
    }
}

TEST(CompareReplicas, NamesEveryRankThatDisagreesWithRankZero) {
  const auto host = HostComm::world();
  MadeUpModel model;
  if (host.is_root()) flip(model.tensors[4][7], 3);
  const auto found = compare_replicas(host, model.slices());
  ASSERT_EQ(found.has_value(), host.size() > 1);
  if (!found) return;
  std::vector<int> others(static_cast<std::size_t>(host.size() - 1));
  std::iota(others.begin(), others.end(), 1);
  EXPECT_EQ(found->ranks, others);
  EXPECT_EQ(found->parameter, model.names[4]);
}

}  // namespace weightscope
