#pragma once
#include <cstdint>

namespace weightscope {

/// Which block of the token file row r of the global batch of step t reads: a pure function of (seed, t, r).
/// Sample number n = t·B + r; epoch n / blocks; each epoch visits every block once, in file order or in the
/// order of a keyed permutation (a Feistel network with cycle walking: no index array, no state).
class Sampler {
 public:
  /// blocks: complete blocks of the file with their shifted targets, (tokens - 1) / block.
  Sampler(std::uint64_t blocks, bool shuffled, std::uint64_t seed);
  std::uint64_t block_of(std::uint64_t sample) const;  ///< in [0, blocks)
  double epoch_of(std::uint64_t sample) const {
    return static_cast<double>(sample) / static_cast<double>(blocks_);
  }
  std::uint64_t blocks() const { return blocks_; }

 private:
  std::uint64_t blocks_, seed_;
  bool shuffled_;
  int half_bits_;
};

}  // namespace weightscope
