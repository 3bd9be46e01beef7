#pragma once
#include <cstdint>

namespace weightscope {

/// Where one float32 is counted, from its bits alone: kSlots counters, of which the histogram's bins are the
/// inner ones. Slots 0 and 452 hold non-finite values, 1 and 451 overflow, 2 … 450 are bins 0 … 448. The
/// CPU kernels write the same arithmetic on vectors; CUDA calls this function.
inline constexpr int kSlots = 453, kMiddleSlot = 226, kFirstBinSlot = 2;
inline constexpr int kOverflowDistance = 225;      ///< slots from the middle to those of overflow
inline constexpr int kLowestKey = (127 - 24) * 8;  ///< exponent and top 3 mantissa bits of 2^-24
inline constexpr std::int32_t kMagnitudeMask = 0x7fffffff, kInfinityBits = 0x7f800000;

constexpr int slot_of(std::uint32_t bits) {
  const auto magnitude = static_cast<std::int32_t>(bits & 0x7fffffffU);
  int distance = (magnitude >> 20) - (kLowestKey - 1);
  distance = distance < 0 ? 0 : distance;
  distance = distance > kOverflowDistance ? kOverflowDistance : distance;
  distance += magnitude >= kInfinityBits ? 1 : 0;
  return (bits >> 31) != 0 ? kMiddleSlot - distance : kMiddleSlot + distance;
}

}  // namespace weightscope
