#include "store/crc_combine.hpp"

#include <array>

namespace weightscope {
namespace {

/// A linear map of 32 bits over GF(2): column i is the image of bit i.
using Map = std::array<std::uint32_t, 32>;

std::uint32_t mapped(const Map& map, std::uint32_t v) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; v != 0; ++i, v >>= 1)
    if ((v & 1U) != 0) out ^= map[i];
  return out;
}

Map twice(const Map& map) {
  Map out{};
  for (std::size_t i = 0; i < 32; ++i) out[i] = mapped(map, map[i]);
  return out;
}

}  // namespace

std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b) {
  // `zeros` appends one zero bit to the message, then 2, 4, … (M. Adler's method in zlib, crc32_combine).
  Map zeros{};
  zeros[0] = 0x82f63b78U;
  for (std::size_t i = 1; i < 32; ++i) zeros[i] = 1U << (i - 1);
  zeros = twice(twice(twice(zeros)));  // one byte
  for (; length_of_b != 0; length_of_b >>= 1, zeros = twice(zeros))
    if ((length_of_b & 1U) != 0) a = mapped(zeros, a);
  return a ^ b;
}

}  // namespace weightscope
