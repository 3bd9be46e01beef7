#include "core/hash.hpp"

#include <gtest/gtest.h>

namespace weightscope {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Crc32c, MatchesThePublishedCheckValue) { EXPECT_EQ(crc32c(bytes_of("123456789")), 0xe3069283U); }

TEST(Crc32c, ContinuesFromAnEarlierValue) {
  const std::string_view text = "the quick brown fox jumps over the lazy dog";
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(crc32c(bytes_of(text.substr(cut)), crc32c(bytes_of(text.substr(0, cut)))),
              crc32c(bytes_of(text)));
}

TEST(Splitmix64, MatchesTheReferenceSequence) {
  // First outputs of Vigna's splitmix64.c for state 1234567.
  EXPECT_EQ(splitmix64(1234567), 6457827717110365317ULL);
  EXPECT_EQ(splitmix64(1234567 + 0x9e3779b97f4a7c15ULL), 3203168211198807973ULL);
}

TEST(Hex, IsZeroPadded) {
  EXPECT_EQ(hex(std::uint32_t{0xab}), "000000ab");
  EXPECT_EQ(hex(std::uint64_t{1} << 63), "8000000000000000");
}

}  // namespace weightscope
