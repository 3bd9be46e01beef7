#pragma once
#include <array>
#include <cmath>
#include <cstdint>

#include "core/hash.hpp"

namespace weightscope {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11): a counter-based
/// generator. The stream is a pure function of (key, counter), so any element can be drawn by any rank,
/// thread or device.
class Philox {
 public:
  using Block = std::array<std::uint32_t, 4>;

  constexpr explicit Philox(std::uint64_t key) : key_(key) {}
  /// The stream of a named use: weights of one tensor, dropout at one site, the order of one epoch.
  constexpr Philox(std::uint64_t seed, std::string_view name) : key_(splitmix64(seed) ^ name_key(name)) {}

  constexpr std::uint64_t key() const { return key_; }

  constexpr Block block(std::uint64_t counter, std::uint64_t high = 0) const {
    Block c{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
            static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)};
    std::uint32_t k0 = static_cast<std::uint32_t>(key_), k1 = static_cast<std::uint32_t>(key_ >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = 0xd2511f53ULL * c[0], p1 = 0xcd9e8d57ULL * c[2];
      c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
           static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
      k0 += 0x9e3779b9U;
      k1 += 0xbb67ae85U;
    }
    return c;
  }

  /// Element i of a stream of 32-bit words.
  constexpr std::uint32_t word(std::uint64_t i) const { return block(i / 4)[i % 4]; }

  /// Element i, uniform on (0, 1): never 0 or 1, 52 bits.
  double uniform(std::uint64_t i) const {
    const Block b = block(i / 2);
    const std::uint64_t bits = (static_cast<std::uint64_t>(b[2 * (i % 2)]) << 32) | b[2 * (i % 2) + 1];
    return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
  }

  /// Element i, standard normal: Box and Muller (1958) on two 52-bit uniforms; element 2j is the cosine, 2j +
  /// 1 the sine.
  double normal(std::uint64_t i) const {
    const double u = uniform(i & ~1ULL), v = uniform(i | 1ULL), r = std::sqrt(-2 * std::log(u)),
                 a = 6.283185307179586476925 * v;
    return i % 2 == 0 ? r * std::cos(a) : r * std::sin(a);
  }

 private:
  std::uint64_t key_;
};

}  // namespace weightscope
