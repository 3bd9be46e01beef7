#pragma once
#include <cstdint>

namespace weightscope {

/// CRC-32C of A followed by B, from those of A and B and the length of B. The CRC of a file is made of those
/// of its tensors, so each byte is read once.
std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b);

}  // namespace weightscope
