// Vectors of kLanes floats through GCC's vector extensions: one source for every instruction set. The
// including kernels_ISA.cpp says how wide a vector is and how many of them a loop may keep in registers
// (Registers below).
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

constexpr int kLanes = Registers::kLanes;
using Lanes = float __attribute__((vector_size(4 * kLanes)));
using LaneBits = std::uint32_t __attribute__((vector_size(4 * kLanes)));
using LaneInts = std::int32_t __attribute__((vector_size(4 * kLanes)));
using LaneHalves = std::uint16_t __attribute__((vector_size(2 * kLanes)));

template <class V, class From>
[[gnu::always_inline]] inline V load_as(const From* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class To, class V>
[[gnu::always_inline]] inline void store_as(To* p, const V& v) {
  __builtin_memcpy(p, &v, sizeof v);
}

[[gnu::always_inline]] inline Lanes load_lanes(const float* p) { return load_as<Lanes>(p); }
[[gnu::always_inline]] inline Lanes load_lanes(const bf16* p) {
  return reinterpret_cast<Lanes>(__builtin_convertvector(load_as<LaneHalves>(p), LaneBits) << 16);
}
[[gnu::always_inline]] inline void store_lanes(float* p, Lanes x) { store_as(p, x); }
/// Rounds as store(bf16*, float) does.
[[gnu::always_inline]] inline void store_lanes(bf16* p, Lanes x) {
  const LaneBits u = reinterpret_cast<LaneBits>(x), rounded = u + 0x7fffU + ((u >> 16) & 1U);
  store_as(p, __builtin_convertvector((x == x ? rounded : u | 0x400000U) >> 16, LaneHalves));
}

[[gnu::always_inline]] inline Lanes every_lane(float x) { return x - Lanes{}; }
[[gnu::always_inline]] inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

/// Compile-time list of the lane numbers, for shuffles.
template <int... L>
struct LaneList {};
template <int N, int... L>
struct FirstLanes : FirstLanes<N - 1, N - 1, L...> {};
template <int... L>
struct FirstLanes<0, L...> {
  using List = LaneList<L...>;
};
using AllLanes = FirstLanes<kLanes>::List;

template <int... L>
[[gnu::always_inline]] inline LaneInts lane_numbers(LaneList<L...>) {
  return LaneInts{L...};
}

/// Swaps the off-diagonal Distance × Distance blocks of the matrix whose rows Distance apart are a and b.
template <int Distance, int... L>
[[gnu::always_inline]] inline void swap_blocks(LaneBits& a, LaneBits& b, LaneList<L...>) {
  const LaneBits upper = __builtin_shufflevector(a, b, ((L & Distance) != 0 ? kLanes + L - Distance : L)...);
  b = __builtin_shufflevector(a, b, ((L & Distance) != 0 ? kLanes + L : L + Distance)...);
  a = upper;
}
/// Transposes a kLanes × kLanes matrix of words in log2(kLanes) rounds of swaps.
template <int Distance = kLanes / 2>
[[gnu::always_inline]] inline void transpose(LaneBits (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if ((i & Distance) == 0) swap_blocks<Distance>(rows[i], rows[i + Distance], AllLanes{});
  if constexpr (Distance > 1) transpose<Distance / 2>(rows);
}

/// Lane i of the result is the combination of all lanes of rows[i]: half of the vectors remain after each
/// round.
template <int Distance = kLanes / 2, class Combine>
[[gnu::always_inline]] inline Lanes across(Lanes (&rows)[2 * Distance], Combine combine) {
  Lanes half[Distance];
#pragma GCC unroll 8
  for (int i = 0; i < Distance; ++i) {
    LaneBits a = reinterpret_cast<LaneBits>(rows[i]), b = reinterpret_cast<LaneBits>(rows[i + Distance]);
    swap_blocks<Distance>(a, b, AllLanes{});
    half[i] = combine(reinterpret_cast<Lanes>(a), reinterpret_cast<Lanes>(b));
  }
  if constexpr (Distance > 1)
    return across<Distance / 2>(half, combine);
  else
    return half[0];
}

/// 2^x for x <= 0: x = n + f with |f| <= 1/2, a minimax polynomial for 2^f that is exact at 0, n through the
/// exponent bits. Largest relative error 1.0e-4 (degree 3, enough where the result is rounded to bf16)
/// or 1.7e-7 (degree 5). 0 below -126; a NaN stays a NaN.
template <int Degree>
[[gnu::always_inline]] inline Lanes exp2_of(Lanes x) {
  static_assert(Degree == 3 || Degree == 5);
  constexpr float kDegree3[] = {1.0F, 0.6932829271F, 0.2422109593F, 0.05500893101F};
  constexpr float kDegree5[] = {1.0F,           0.6931469776F,   0.2402224209F,
                                0.05550733743F, 0.009671512641F, 0.001326472718F};
  // Adding 1.5·2^23 rounds to an integer; the 127 puts n + bias into the low bits, where a shift finds it.
  constexpr float kRound = 12582912.0F + 127.0F;
  const Lanes shifted = x + kRound, f = x - (shifted - kRound);
  const Lanes power = reinterpret_cast<Lanes>(reinterpret_cast<LaneBits>(shifted) << 23);
  Lanes p;
  if constexpr (Degree == 3)
    p = ((kDegree3[3] * f + kDegree3[2]) * f + kDegree3[1]) * f + kDegree3[0];
  else
    p = ((((kDegree5[5] * f + kDegree5[4]) * f + kDegree5[3]) * f + kDegree5[2]) * f + kDegree5[1]) * f +
        kDegree5[0];
  return x < -126.0F ? Lanes{} : p * power;
}

/// ln x of normal numbers, to about 1 ulp: x = 2^n·m with m around 1, a polynomial for ln m (Cephes logf). A
/// NaN stays a NaN.
[[gnu::always_inline]] inline Lanes log_of(Lanes x) {
  constexpr std::int32_t kRootHalf = 0x3f3504f3;
  const LaneInts bits = reinterpret_cast<LaneInts>(x), n = (bits - kRootHalf) >> 23;
  const Lanes z = reinterpret_cast<Lanes>(bits - (n << 23)) - 1.0F, e = __builtin_convertvector(n, Lanes);
  Lanes p = 7.0376836292e-2F * z - 1.1514610310e-1F;
  p = p * z + 1.1676998740e-1F;
  p = p * z - 1.2420140846e-1F;
  p = p * z + 1.4249322787e-1F;
  p = p * z - 1.6668057665e-1F;
  p = p * z + 2.0000714765e-1F;
  p = p * z - 2.4999993993e-1F;
  p = p * z + 3.3333331174e-1F;
  const Lanes y = p * z * z * z - 2.12194440e-4F * e - 0.5F * z * z;
  return x == x ? z + y + 0.693359375F * e : x;
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
