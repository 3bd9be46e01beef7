// Philox4x32-10 (core/philox.hpp) for several counters at once, compiled for this instruction set. What
// belongs to one counter lies in the low half of a wide lane; the high halves hold anything.
#include <immintrin.h>

namespace weightscope::cpu::WEIGHTSCOPE_ISA {

using WideLanes = std::uint64_t __attribute__((vector_size(4 * kLanes)));
constexpr int kCounters = kLanes / 2;
using AllCounters = FirstLanes<kCounters>::List;

[[gnu::always_inline]] inline WideLanes low_product(WideLanes a, std::uint32_t b) {
  const WideLanes every = WideLanes{} + b;
#if defined(__AVX512F__)
  // Of all lanes; GCC 12 takes what the unmasked one leaves open for a mistake of ours.
  return reinterpret_cast<WideLanes>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(every)));
#elif defined(__AVX2__)
  return reinterpret_cast<WideLanes>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(every)));
#else
  return reinterpret_cast<WideLanes>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(every)));
#endif
}

[[gnu::always_inline]] inline void philox(std::uint64_t key, WideLanes (&c)[4]) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const WideLanes p0 = low_product(c[0], 0xd2511f53U), p1 = low_product(c[2], 0xcd9e8d57U);
    c[0] = (p1 >> 32) ^ c[1] ^ k0, c[1] = p1;
    c[2] = (p0 >> 32) ^ c[3] ^ k1, c[3] = p0;
    k0 += 0x9e3779b9U, k1 += 0xbb67ae85U;
  }
}

template <int... L>
[[gnu::always_inline]] inline WideLanes counted_from(Index first, LaneList<L...>) {
  return WideLanes{static_cast<std::uint64_t>(L)...} + static_cast<std::uint64_t>(first);
}
/// a[From], b[From], a[From + 1], b[From + 1], …
template <int From, int... L>
[[gnu::always_inline]] inline LaneBits zipped_from(WideLanes a, WideLanes b, LaneList<L...>) {
  return reinterpret_cast<LaneBits>(__builtin_shufflevector(a, b, ((L % 2) * kCounters + From + L / 2)...));
}
/// The low halves of both, in order.
template <int... L>
[[gnu::always_inline]] inline LaneBits low_halves(WideLanes a, WideLanes b, LaneList<L...>) {
  return __builtin_shufflevector(reinterpret_cast<LaneBits>(a), reinterpret_cast<LaneBits>(b), (2 * L)...);
}

/// The words of 2·kLanes elements of a row, from element 4·block on.
[[gnu::always_inline]] inline void draw_along_row(std::uint64_t key, Index row, Index block,
                                                  LaneBits (&out)[2]) {
  const WideLanes blocks = counted_from(block, AllCounters{}),
                  rows = WideLanes{} + static_cast<std::uint64_t>(row);
  WideLanes c[4] = {blocks, blocks >> 32, rows, rows >> 32};
  philox(key, c);
  constexpr std::uint64_t kLow = 0xffffffffU;
  const WideLanes even = (c[0] & kLow) | (c[1] << 32), odd = (c[2] & kLow) | (c[3] << 32);
  out[0] = zipped_from<0>(even, odd, AllCounters{});
  out[1] = zipped_from<kCounters / 2>(even, odd, AllCounters{});
}

/// The words of elements 4·block to 4·block + 3 of kLanes rows, a vector for each element.
[[gnu::always_inline]] inline void draw_across_rows(std::uint64_t key, Index row, Index block,
                                                    LaneBits (&out)[4]) {
  const WideLanes blocks = WideLanes{} + static_cast<std::uint64_t>(block),
                  upper = counted_from(row, AllCounters{}),
                  lower = upper + static_cast<std::uint64_t>(kCounters);
  WideLanes a[4] = {blocks, blocks >> 32, upper, upper >> 32},
            b[4] = {blocks, blocks >> 32, lower, lower >> 32};
  philox(key, a), philox(key, b);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) out[i] = low_halves(a[i], b[i], AllLanes{});
}

[[gnu::always_inline]] inline Lanes without_dropped(Lanes x, LaneBits words, const ops::Drop& drop) {
  return words < drop.threshold ? Lanes{} : x;
}

inline ops::Drop from_row(ops::Drop drop, Index row) {
  drop.first_row += row;
  return drop;
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
