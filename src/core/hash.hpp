#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weightscope {

/// One output of the splitmix64 generator for the state `x` (Steele, Lea and Flood 2014); a good 64-bit
/// mixer. Inlined whatever the compiler's options: see monitor/cpu/block_kernel.inl.
[[gnu::always_inline]] constexpr std::uint64_t splitmix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// 64-bit FNV-1a of a short text, mixed once more: turns names into keys of random streams.
constexpr std::uint64_t name_key(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return splitmix64(h);
}

/// CRC-32C (Castagnoli), as used by iSCSI and ext4. `seed` continues an earlier value.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);

/// Lower-case hexadecimal, zero-padded to the width of the type.
std::string hex(std::uint32_t value);
std::string hex(std::uint64_t value);

}  // namespace weightscope
