// bf16 by AVX512-BF16: vdpbf16ps multiplies two pairs and adds both products to a float. The instructions of
// this extension treat denormal numbers as zero and round to nearest even; all else is as in the other
// instruction sets.
#include <immintrin.h>

namespace weightscope::cpu::WEIGHTSCOPE_ISA {

template <>
struct Words<bf16> {
 private:
  using Halves = std::uint16_t __attribute__((vector_size(2 * kLanes)));
  using Pairs = std::uint16_t __attribute__((vector_size(4 * kLanes)));
  using PairList = FirstLanes<2 * kLanes>::List;
  /// a[0], b[0], a[1], b[1], …; of one vector of pairs, given twice: its lower half with its upper half.
  template <class V, int... L>
  [[gnu::always_inline]] static Pairs zipped(V a, V b, LaneList<L...>) {
    return __builtin_shufflevector(a, b, ((L % 2) * kLanes + L / 2)...);
  }

 public:
  static constexpr int kPerWord = 2;
  using Vector = __m512bh;

  [[gnu::always_inline]] static Vector load(const Word* p) { return load_as<Vector>(p); }
  [[gnu::always_inline]] static Vector every_lane_of(const Word* p) {
    return reinterpret_cast<Vector>(_mm512_set1_epi32(static_cast<int>(*p)));
  }
  [[gnu::always_inline]] static Lanes multiply_add(Lanes sum, Vector a, Vector b) {
    return _mm512_dpbf16_ps(sum, a, b);
  }

  /// kLanes words of a row.
  [[gnu::always_inline]] static LaneBits load_row(const bf16* p) { return load_as<LaneBits>(p); }
  /// The pairs layout (see pack.inl) of two rows: value d of the one beside value d of the other.
  static void interleave(const bf16* row, Index stride, Index padded, Word* to) {
    for (Index d = 0; d < padded; d += kLanes)
      store_as(to + d, zipped(load_as<Halves>(row + d), load_as<Halves>(row + stride + d), PairList{}));
  }
  /// N vectors of sums, rounded, as the next operand.
  template <int N>
  [[gnu::always_inline]] static void store_operand(Word* to, const Lanes* v) {
#pragma GCC unroll 4
    for (int n = 0; n + 1 < N; n += 2) store_as(to + n * kLanes / 2, _mm512_cvtne2ps_pbh(v[n + 1], v[n]));
    if constexpr (N % 2 == 1) store_as(to + (N - 1) * kLanes / 2, _mm512_cvtneps_pbh(v[N - 1]));
  }
  /// Two rows of sums, rounded, in the pairs layout.
  [[gnu::always_inline]] static void store_pair(Word* to, Lanes first, Lanes second) {
    const auto both = reinterpret_cast<Pairs>(_mm512_cvtne2ps_pbh(second, first));
    store_as(to, zipped(both, both, PairList{}));
  }
  [[gnu::always_inline]] static void store(bf16* to, Lanes x) { store_as(to, _mm512_cvtneps_pbh(x)); }
};

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
