// The products of the backward pass (FlashAttention-2, Dao 2023, algorithm 2). They work on transposed
// scores, [key][query], so that what belongs to a query (lse, delta) is a vector along the lanes. With P =
// softmax weights,
//   dV = Pᵀ·dO,  dPᵀ = V·dOᵀ,  dSᵀ = Pᵀ ∘ (dPᵀ − delta),  dK = dSᵀ·Q,  dQᵀ = Kᵀ·dSᵀ,  delta = Σ_d dO ∘ O;
// where weights are dropped, P in dV and dPᵀ in dSᵀ are multiplied by the mask.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

constexpr Index kChunkBlocks = kChunkKeys / kBlock;  ///< query blocks whose weights are kept at a time

/// Queries are numbered from the first key of the part on: earlier ones do not see it.
template <class T>
struct BackwardScratch {
  static constexpr Index kKeys = kKeyBlocks * kBlock, kPerWord = Widths<T>::kPerWord;
  static constexpr Index kStride = kChunkStride / kPerWord;
  static constexpr Index kPairsPanel = kKeys / kPerWord * kLanes;
  static constexpr bool kPairs = kPerWord == 2;

  BackwardScratch(Carver& c, const Widths<T>& w, Index queries, Index dq_blocks)
      : spare(c.take<T>(kBlock * w.row_values())),
        k_panels(c.take<Word>(kKeyBlocks * w.block())),
        v_panels(c.take<Word>(kKeyBlocks * w.block())),
        k_pairs(c.take<Word>(kKeyBlocks * w.pairs_block())),
        q_panels(c.take<Word>(queries * w.block())),
        dout_panels(c.take<Word>(queries * w.block())),
        q_pairs(c.take<Word>(queries * w.pairs_block())),
        dout_pairs(c.take<Word>(queries * w.pairs_block())),
        weights(c.take<Word>(kKeys * kStride)),
        dscores(c.take<Word>(kKeys * kStride)),
        dscore_pairs(c.take<Word>(kPairs ? kChunkBlocks * kPanelsPerBlock * kPairsPanel : 0)),
        dk(c.take<float>(kKeys * w.padded)),
        dv(c.take<float>(kKeys * w.padded)),
        lse(c.take<float>(queries * kBlock)),
        delta(c.take<float>(queries * kBlock)),
        dq(c.take<float>(dq_blocks * kBlock * w.padded)) {}

  T* spare;                                             ///< one block, for whole_block()
  Word *k_panels, *v_panels, *k_pairs;                  ///< kKeyBlocks blocks of keys
  Word *q_panels, *dout_panels, *q_pairs, *dout_pairs;  ///< all queries of the part
  Word *weights, *dscores;                              ///< Pᵀ and dSᵀ, [kKeys][kStride] of a chunk
  Word* dscore_pairs;  ///< dSᵀ by panels of queries, [panel][kKeys/2][lane]
  float *dk, *dv;      ///< [kKeys][padded], sums over the chunks so far
  float *lse, *delta;  ///< per query
  float* dq;           ///< dQᵀ, [panel][padded][lane]
};

/// N panels of queries against block `key` of the keys: their weights and gradients of scores.
struct TilePlace {
  Index key;                     ///< block among the kKeyBlocks
  Index panel;                   ///< first panel among all queries of the part
  Index in_chunk;                ///< the same panel among those of the chunk
  Index first_key, first_query;  ///< of the head
  Index ahead;                   ///< first query − first key: less than kBlock where the diagonal is near
};

/// exp(score·scale − lse), where the difference comes first: the logarithms may be much larger than it. Zero
/// where the key lies in the query's future.
template <class T, int M, int N>
[[gnu::always_inline]] inline void soften_tile(Lanes (&x)[M][N], const float* lse, float scale, Index ahead) {
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) {
    const Lanes l = load_lanes(lse + n * kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) x[m][n] = exp2_of<kExpDegree<T>>((x[m][n] * scale - l) * kLog2E);
  }
  if (ahead >= kBlock) return;
  const LaneInts lane = lane_numbers(AllLanes{});
#pragma GCC unroll 4
  for (int n = 0; n < N && n < kPanelsPerBlock; ++n)
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
      x[m][n] = lane + (static_cast<int>(ahead) + n * kLanes - m) < 0 ? Lanes{} : x[m][n];
}

/// Words of a tile whose first query is the stream's row drop.first_row.
template <int N>
void draw_tile(const ops::Drop& drop, Index key, LaneBits (&words)[kBlock][N]) {
  for (int m = 0; m < kBlock; m += 4)
    for (int n = 0; n < N; ++n) {
      LaneBits four[4];
      draw_across_rows(drop.key, drop.first_row + n * kLanes, (key + m) / 4, four);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) words[m + i][n] = four[i];
    }
}

template <class T, int N>
void score_tile(const BackwardScratch<T>& s, const Widths<T>& w, const TilePlace& at, float scale,
                const ops::Drop& drop, Prefetch& next) {
  using W = Words<T>;
  constexpr int M = kTileRows<N>;
  const Index values = at.panel * kLanes, stored = at.in_chunk * kLanes / W::kPerWord;
  const bool drops = drop.threshold != 0;
  LaneBits words[kBlock][N];
  if (drops) draw_tile(from_row(drop, at.first_query), at.first_key, words);
  for (int m = 0; m < kBlock; m += M) {
    const Index key = at.key * kBlock + m;
    Lanes p[M][N], ds[M][N];
    next.step();
    clear(p);
    multiply_add<W>(p, w.column(s.k_panels, key), {s.q_panels + at.panel * w.panel(), w.panel(), kLanes},
                    w.depth);
    soften_tile<T>(p, s.lse + values, scale, at.ahead - m);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      Lanes kept[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) kept[n] = drops ? without_dropped(p[i][n], words[m + i][n], drop) : p[i][n];
      W::template store_operand<N>(s.weights + (key + i) * s.kStride + stored, kept);
    }
    clear(ds);
    multiply_add<W>(ds, w.column(s.v_panels, key), {s.dout_panels + at.panel * w.panel(), w.panel(), kLanes},
                    w.depth);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        if (drops) ds[i][n] = without_dropped(ds[i][n] * drop.keep, words[m + i][n], drop);
        ds[i][n] = p[i][n] * (ds[i][n] - load_lanes(s.delta + values + n * kLanes));
      }
      W::template store_operand<N>(s.dscores + (key + i) * s.kStride + stored, ds[i]);
    }
    if constexpr (BackwardScratch<T>::kPairs)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
        for (int i = 0; i < M; i += 2)
          W::store_pair(s.dscore_pairs + (at.in_chunk + n) * s.kPairsPanel + (key + i) / 2 * kLanes, ds[i][n],
                        ds[i + 1][n]);
  }
}

/// Query blocks [begin, end) of a part.
struct Chunk {
  Index begin, end;
  bool first, last;
};

/// One block of rows of dK or dV: partial += left · right, over the queries of a chunk; after the last one
/// out = partial · scale.
template <class T>
void sum_over_queries(const Word* left, const Word* right, const Chunk& c, const Widths<T>& w, float* partial,
                      float scale, const Matrix<T>& out) {
  constexpr Index kStride = BackwardScratch<T>::kStride;
  in_runs(0, w.padded / kLanes, [&]<int N>(Index v, Count<N>) {
    constexpr int M = kTileRows<N>;
    for (int m = 0; m < kBlock; m += M) {
      Lanes sums[M][N];
      float* at = partial + m * w.padded + v * kLanes;
      clear(sums);
      if (!c.first)
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) sums[i][n] = load_lanes(at + i * w.padded + n * kLanes);
      multiply_add<Words<T>>(sums, {left + m * kStride, kStride, 1}, {right + v * kLanes, kLanes, w.padded},
                             (c.end - c.begin) * w.kPairsPerBlock);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        if (c.last) {
          if (m + i >= out.rows) break;
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) sums[i][n] *= scale;
          store_result(out.at + (m + i) * out.stride + v * kLanes, sums[i], w.values - v * kLanes);
        } else {
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) store_lanes(at + i * w.padded + n * kLanes, sums[i][n]);
        }
      }
    }
  });
}

struct Keys {
  Index words;  ///< of the pairs layout
  bool first;   ///< no earlier ones have been added
};

/// dQᵀ of N panels of queries = or += Kᵀ·dSᵀ, over the keys of a column of k_pairs.
template <class T, int N>
void sum_over_keys(const BackwardScratch<T>& s, const Widths<T>& w, Index panel, Index in_chunk,
                   const Keys& keys, float* dq) {
  constexpr int M = kTileRows<N>;
  const Operand ds = BackwardScratch<T>::kPairs
                         ? Operand{s.dscore_pairs + in_chunk * s.kPairsPanel, s.kPairsPanel, kLanes}
                         : Operand{s.dscores + in_chunk * kLanes, kLanes, s.kStride};
  for (Index d = 0; d < w.padded; d += M) {
    float* at = dq + (panel * w.padded + d) * kLanes;
    Lanes sums[M][N];
    clear(sums);
    if (!keys.first)
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) sums[m][n] = load_lanes(at + (n * w.padded + m) * kLanes);
    multiply_add<Words<T>>(sums, {s.k_pairs + d, 1, w.padded}, ds, keys.words);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) store_lanes(at + (n * w.padded + m) * kLanes, sums[m][n]);
  }
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
