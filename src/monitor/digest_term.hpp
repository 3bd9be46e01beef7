#pragma once
#include <cstdint>

#include "core/hash.hpp"

namespace weightscope {

/// What the pair of elements 2·index and 2·index + 1 (bits 0 when there is no second one) adds to the digest
/// of its slice. For one index different bits give different terms, since splitmix64 is a bijection. Shared
/// by CPU and CUDA.
[[gnu::always_inline]] constexpr std::uint64_t digest_term(std::uint64_t index, std::uint32_t first,
                                                           std::uint32_t second) {
  return splitmix64((std::uint64_t{second} << 32 | first) + index * 0xd1b54a32d192ed03ULL);
}

}  // namespace weightscope
