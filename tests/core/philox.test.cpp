#include "core/philox.hpp"

#include <gtest/gtest.h>

namespace weightscope {

TEST(Philox, MatchesTheKnownAnswersOfRandom123) {
  // kat_vectors of Random123 1.09, philox4x32 10 rounds.
  EXPECT_EQ(Philox(0).block(0), (Philox::Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint64_t ones = ~0ULL;
  EXPECT_EQ(Philox(ones).block(ones, ones), (Philox::Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox(0x299f31d0a4093822ULL).block(0x85a308d3243f6a88ULL, 0x0370734413198a2eULL),
            (Philox::Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, NormalsHaveTheMomentsOfANormal) {
  const Philox rng(7, "h.0.attn.c_attn.weight");
  constexpr int n = 200000;
  double m1 = 0, m2 = 0, m4 = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal(static_cast<std::uint64_t>(i));
    m1 += x / n, m2 += x * x / n, m4 += x * x * x * x / n;
  }
  EXPECT_NEAR(m1, 0, 4 / std::sqrt(n));
  EXPECT_NEAR(m2, 1, 4 * std::sqrt(2.0 / n));
  EXPECT_NEAR(m4, 3, 4 * std::sqrt(96.0 / n));
}

TEST(Philox, NamedStreamsDiffer) {
  EXPECT_NE(Philox(1, "a").word(0), Philox(1, "b").word(0));
  EXPECT_NE(Philox(1, "a").word(0), Philox(2, "a").word(0));
}

}  // namespace weightscope
