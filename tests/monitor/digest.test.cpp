#include "monitor/digest.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <numeric>

#include "core/error.hpp"
#include "monitor/cpu/block_kernel.hpp"
#include "monitor/digest_term.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

void flip(float& x, int bit) { x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) ^ (1u << bit)); }

/// Σ digest_term of the pairs of w, the first of them numbered `first`.
std::uint64_t terms(const std::vector<float>& w, std::uint64_t first) {
  std::uint64_t sum = 0;
  const auto bits = [&](std::size_t i) { return i < w.size() ? std::bit_cast<std::uint32_t>(w[i]) : 0; };
  for (std::size_t i = 0; i < w.size(); i += 2) sum += digest_term(first + i / 2, bits(i), bits(i + 1));
  return sum;
}

}  // namespace

TEST(Digests, AreTheSameForAnyNumberOfThreads) {
  MadeUpModel model;
  const auto one = digests(model.slices(), 1);
  for (const int threads : {2, 3, 4, 7}) EXPECT_EQ(digests(model.slices(), threads), one);
}

TEST(Digests, AreTheSumOfTheirTermsWithEveryInstructionSetOfThisMachine) {
  for (const std::size_t pairs : {0u, 1u, 7u, 8u, 33u, 32768u}) {
    const auto w = normal_weights(2 * pairs, "isa");
    const std::uint64_t first = std::uint64_t{1} << 33;
    for (const auto& kernel : usable_block_kernels())
      EXPECT_EQ(kernel.digest(w.data(), first, pairs), terms(w, first)) << kernel.isa << " " << pairs;
  }
}

TEST(Digests, NumberTheElementsOfATensorOfManyChunksFromItsStart) {
  for (const std::size_t n : {1UL, 2UL, kChunk, kChunk + 1, 3 * kChunk + 2 * kBlock + 7}) {
    auto w = normal_weights(n, "large");
    EXPECT_EQ(digests(std::vector{slice_of(w)}), std::vector{terms(w, 0)}) << n;
  }
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
