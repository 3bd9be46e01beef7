#include "data/sampler.hpp"

#include "core/error.hpp"
#include "core/hash.hpp"

namespace weightscope {
namespace {

constexpr int kRounds = 6;

/// A permutation of [0, 2^(2·half_bits)): a balanced Feistel network with a keyed mixer (Luby and Rackoff
/// 1988).
std::uint64_t feistel(std::uint64_t x, int half_bits, std::uint64_t key) {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t left = x >> half_bits, right = x & mask;
  for (int round = 0; round < kRounds; ++round) {
    const auto mixed =
        left ^ (splitmix64(right ^ splitmix64(key + static_cast<std::uint64_t>(round))) & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits) | right;
}

}  // namespace

Sampler::Sampler(std::uint64_t blocks, bool shuffled, std::uint64_t seed)
    : blocks_(blocks), seed_(seed), shuffled_(shuffled), half_bits_(1) {
  require(blocks > 0, Fault::data, "the training data holds no complete block");
  while (half_bits_ < 31 && (std::uint64_t{1} << (2 * half_bits_)) < blocks) ++half_bits_;
}

std::uint64_t Sampler::block_of(std::uint64_t sample) const {
  const std::uint64_t epoch = sample / blocks_, index = sample % blocks_;
  if (!shuffled_) return index;
  // Cycle walking: the domain is a power of four at least as large as the number of blocks; steps that land
  // outside are repeated, fewer than four on average.
  const std::uint64_t key = splitmix64(seed_ ^ name_key("sample order")) + epoch;
  std::uint64_t at = feistel(index, half_bits_, key);
  while (at >= blocks_) at = feistel(at, half_bits_, key);
  return at;
}

}  // namespace weightscope
