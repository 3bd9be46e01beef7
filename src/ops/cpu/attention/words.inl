// Operands of the attention's products are "words" of 32 bits: one float, or two bf16 that are neighbours
// along the summed axis. Words<T> says which of the two serves activations of type T, with the few operations
// that differ. This file has what floats need; the including kernels_ISA.cpp names the file that has
// Words<bf16>.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

using Word = std::uint32_t;

/// A word is a float; T is what is read from and written to memory outside.
template <class T>
struct FloatWords {
  static constexpr int kPerWord = 1;
  using Vector = Lanes;

  [[gnu::always_inline]] static Vector load(const Word* p) { return load_as<Lanes>(p); }
  [[gnu::always_inline]] static Vector every_lane_of(const Word* p) {
    return every_lane(
        load_as<float>(p));  // as a float: an integer would take the way through a general register
  }
  [[gnu::always_inline]] static Lanes multiply_add(Lanes sum, Vector a, Vector b) { return a * b + sum; }

  /// kLanes words of a row.
  [[gnu::always_inline]] static LaneBits load_row(const T* p) {
    return reinterpret_cast<LaneBits>(load_lanes(p));
  }
  /// The pairs layout (see pack.inl) of one row is the row itself.
  static void interleave(const T* row, Index /*stride*/, Index padded, Word* to) {
    for (Index d = 0; d < padded; d += kLanes) store_as(to + d, load_row(row + d));
  }
  /// N vectors of sums as the next operand.
  template <int N>
  [[gnu::always_inline]] static void store_operand(Word* to, const Lanes* v) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store_as(to + n * kLanes, v[n]);
  }
  [[gnu::always_inline]] static void store(T* to, Lanes x) { store_lanes(to, x); }
};

/// How exact the exponential of scores has to be: bf16 probabilities are rounded to 2^-9.
template <class T>
constexpr int kExpDegree = 5;
template <>
constexpr int kExpDegree<bf16> = 3;

template <class T>
struct Words;
template <>
struct Words<float> : FloatWords<float> {};

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA

#include WEIGHTSCOPE_BF16_WORDS
