#include "data/sampler.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.hpp"

namespace weightscope {

std::vector<std::uint64_t> epoch(const Sampler& sampler, std::uint64_t number) {
  std::vector<std::uint64_t> blocks;
  for (std::uint64_t i = 0; i < sampler.blocks(); ++i)
    blocks.push_back(sampler.block_of(number * sampler.blocks() + i));
  return blocks;
}

TEST(Sampler, EveryEpochVisitsEveryBlockOnce) {
  for (const std::uint64_t n : {1, 2, 3, 4, 5, 7, 15, 16, 17, 63, 64, 65, 1000, 4097})
    for (const std::uint64_t e : {0, 1, 17}) {
      std::vector<int> seen(n);
      for (const auto b : epoch(Sampler(n, true, 1337), e)) {
        ASSERT_LT(b, n);
        EXPECT_EQ(++seen[b], 1) << n << " blocks, epoch " << e;
      }
    }
}

TEST(Sampler, EpochsAndSeedsDiffer) {
  EXPECT_NE(epoch(Sampler(500, true, 1), 0), epoch(Sampler(500, true, 1), 1));
  EXPECT_NE(epoch(Sampler(500, true, 1), 0), epoch(Sampler(500, true, 2), 0));
  EXPECT_EQ(epoch(Sampler(500, true, 1), 3), epoch(Sampler(500, true, 1), 3));
}

TEST(Sampler, ShuffledOrderIsNoNearlySortedOrder) {
  // Mean displacement of a random permutation of n is n/3; its standard deviation here is about
  // n/3·sqrt(2/(5n)).
  const auto order = epoch(Sampler(3000, true, 9), 0);
  double moved = 0;
  for (std::size_t i = 0; i < order.size(); ++i)
    moved += std::abs(static_cast<double>(order[i]) - static_cast<double>(i)) / 3000;
  EXPECT_NEAR(moved, 1000, 60);
}

TEST(Sampler, SequentialIsFileOrderAndWraps) {
  const Sampler sampler(10, false, 5);
  EXPECT_EQ(sampler.block_of(3), 3U);
  EXPECT_EQ(sampler.block_of(23), 3U);
  EXPECT_DOUBLE_EQ(sampler.epoch_of(25), 2.5);
}

TEST(Sampler, NeedsABlock) { EXPECT_THROW(Sampler(0, true, 1), Error); }

}  // namespace weightscope
