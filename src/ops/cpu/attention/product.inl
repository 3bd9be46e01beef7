// The register kernel of all products, and how a range is cut into pieces that fit the registers.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

/// Where the words of an operand lie: `outer` words from one row (first operand) or vector (second operand)
/// to the next, `step` from one term of the sum to the next.
struct Operand {
  const Word* at;
  Index outer, step;
};

template <int N>
struct Count {
  static constexpr int kValue = N;
};

/// Rows of a tile that is N vectors wide: as many as the registers hold sums, within one panel.
template <int N>
constexpr int kTileRows = N > 2                           ? Registers::kSums / 4
                          : Registers::kSums / N < kLanes ? Registers::kSums / N
                                                          : kLanes;
constexpr int kTileVectors = Registers::kTileVectors;

template <int M, int N>
[[gnu::always_inline]] inline void clear(Lanes (&sums)[M][N]) {
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) sums[m][n] = Lanes{};
}

/// sums[m][n] += Σ over steps of a(m, step) · b(n, step): a's words one by one, b's by vectors.
template <class W, int M, int N>
[[gnu::always_inline]] inline void multiply_add(Lanes (&sums)[M][N], Operand a, Operand b, Index steps) {
  for (Index k = 0; k < steps; ++k, a.at += a.step, b.at += b.step) {
    typename W::Vector vectors[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) vectors[n] = W::load(b.at + n * b.outer);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const auto word = W::every_lane_of(a.at + m * a.outer);
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sums[m][n] = W::multiply_add(sums[m][n], word, vectors[n]);
    }
  }
}

/// Calls f(first, Count<N>) for runs of N vectors that cover [begin, end): runs of `Most`, then a shorter one
/// where some are left.
template <int Most = kTileVectors, class F>
[[gnu::always_inline]] inline void in_runs(Index begin, Index end, F f) {
  for (; begin + Most <= end; begin += Most) f(begin, Count<Most>{});
  if constexpr (Most == 4) {
    if (end - begin == 3) f(begin, Count<3>{});
    if (end - begin == 2) f(begin, Count<2>{});
  }
  if (end - begin == 1) f(begin, Count<1>{});
}

/// The first `count` of N vectors' values to memory that ends there.
template <class T, int N>
[[gnu::always_inline]] inline void store_result(T* to, const Lanes (&v)[N], Index count) {
  if (count >= N * kLanes) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) Words<T>::store(to + n * kLanes, v[n]);
    return;
  }
  T all[N * kLanes];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) Words<T>::store(all + n * kLanes, v[n]);
  for (Index i = 0; i < count; ++i) to[i] = all[i];
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
