// Causal attention, forward: for each block of queries all scores of the past, a softmax over whole rows,
// then the sum over values with the sums in registers. Scores stay in cache and never reach memory
// (FlashAttention, Dao et al. 2022); tiles above the diagonal are never computed.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

constexpr float kLog2E = 1.44269504088896341F, kLn2 = 0.693147180559945309F;

constexpr Index kChunkKeys = 256;  ///< keys whose scores lie in one piece
/// From row to row of a chunk: not a power of two, which would put all rows into the same cache sets.
constexpr Index kChunkStride = kChunkKeys + kBlock;

/// The scores of a block of queries are cut into chunks of keys: [chunk][kBlock][kChunkStride], so that the
/// distance of two rows is a constant.
template <class T>
struct ForwardScratch {
  static constexpr Index kWeightStride = kChunkStride / Widths<T>::kPerWord;
  ForwardScratch(Carver& c, const Widths<T>& w, Index blocks)
      : spare(c.take<T>(kBlock * w.row_values())),
        q_panels(c.take<Word>(w.block())),
        k_panels(c.take<Word>(blocks * w.block())),
        v_pairs(c.take<Word>(blocks * w.pairs_block())),
        scores(c.take<float>(chunks(blocks) * kBlock * kChunkStride)),
        weights(c.take<Word>(chunks(blocks) * kBlock * kWeightStride)) {}
  static Index chunks(Index blocks) { return (blocks * kBlock + kChunkKeys - 1) / kChunkKeys; }
  float* score(Index row, Index key) const {
    return scores + (key / kChunkKeys * kBlock + row) * kChunkStride + key % kChunkKeys;
  }
  Word* weight(Index row, Index key) const {
    return weights + (key / kChunkKeys * kBlock + row) * kWeightStride +
           key % kChunkKeys / Widths<T>::kPerWord;
  }
  T* spare;        ///< one block, for whole_block()
  Word* q_panels;  ///< one block of queries
  Word* k_panels;  ///< all keys
  Word* v_pairs;   ///< all values
  float* scores;
  Word* weights;  ///< exp(score − largest of the row), rounded to words
};

/// Scores, not yet scaled, of a block of queries with the keys of `panels` panels.
template <class T>
void score_block(const ForwardScratch<T>& s, const Widths<T>& w, Index panels, Prefetch& next) {
  in_runs(0, panels, [&]<int N>(Index p, Count<N>) {
    constexpr int M = kTileRows<N>;
    next.step();
    for (int m = 0; m < kBlock; m += M) {
      Lanes sums[M][N];
      clear(sums);
      multiply_add<Words<T>>(sums, w.column(s.q_panels, m), {s.k_panels + p * w.panel(), w.panel(), kLanes},
                             w.depth);
      float* to = s.score(m, p * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) store_lanes(to + i * kChunkStride + n * kLanes, sums[i][n]);
    }
  });
}

/// Hides the future from row r of a block, whose last kPanelsPerBlock panels hold the diagonal.
inline void mask_row(float* diagonal, int r) {
  const LaneInts lane = lane_numbers(AllLanes{});
  for (int p = 0; p < kPanelsPerBlock; ++p) {
    const Lanes x = load_lanes(diagonal + p * kLanes);
    store_lanes(diagonal + p * kLanes, lane + p * kLanes > r ? every_lane(-__builtin_inff()) : x);
  }
}

template <class T>
Lanes largest_scores(const ForwardScratch<T>& s, Index row, Index keys) {
  Lanes most = every_lane(-__builtin_inff());
  for (Index first = 0; first < keys; first += kChunkKeys) {
    const float* scores = s.score(row, first);
    const Index count = keys - first < kChunkKeys ? keys - first : kChunkKeys;
    for (Index k = 0; k < count; k += kLanes) most = larger(load_lanes(scores + k), most);
  }
  return most;
}

/// A row's scores become its weights exp2(score · scale_log2 − top); returns their sums by lanes, in which
/// those that are dropped still count.
template <class T>
Lanes soften_row(const ForwardScratch<T>& s, Index row, Index keys, float scale_log2, float top,
                 const ops::Drop& drop) {
  Lanes sum{};
  for (Index first = 0; first < keys; first += kChunkKeys) {
    const float* scores = s.score(row, first);
    Word* weights = s.weight(row, first);
    const Index count = keys - first < kChunkKeys ? keys - first : kChunkKeys;
    const auto soften = [&]<int N>(Index k, Count<N>) {
      Lanes e[N];
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) {
        e[n] = exp2_of<kExpDegree<T>>(load_lanes(scores + k + n * kLanes) * scale_log2 - top);
        sum += e[n];
      }
      if (drop.threshold != 0) {
        LaneBits words[2];
        draw_along_row(drop.key, drop.first_row + row, (first + k) / 4, words);
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) e[n] = without_dropped(e[n], words[n], drop);
      }
      Words<T>::template store_operand<N>(weights + k / Widths<T>::kPerWord, e);
    };
    Index k = 0;
    for (; k + 2 * kLanes <= count; k += 2 * kLanes) soften(k, Count<2>{});
    if (k < count) soften(k, Count<1>{});
  }
  return sum;
}

struct RowSums {
  float inverse[kBlock], lse[kBlock];  ///< 1 / ((1 − p) Σ weights), p dropped; log Σ exp(score · scale)
};

/// The scores of a block of queries with the first `keys` keys, kBlock of them around the diagonal, become
/// weights. `drop`: of the block's rows.
template <class T>
RowSums soften_block(const ForwardScratch<T>& s, Index keys, float scale_log2, const ops::Drop& drop) {
  RowSums result;
  for (int r = 0; r < kBlock; r += kLanes) {
    Lanes rows[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      mask_row(s.score(r + i, keys - kBlock), r + i);
      rows[i] = largest_scores(s, r + i, keys);
    }
    const Lanes top = across(rows, [](Lanes a, Lanes b) { return larger(a, b); }) * scale_log2;
    float tops[kLanes];
    store_lanes(tops, top);
    for (int i = 0; i < kLanes; ++i) rows[i] = soften_row(s, r + i, keys, scale_log2, tops[i], drop);
    const Lanes total = across(rows, [](Lanes a, Lanes b) { return a + b; });
    store_lanes(result.inverse + r, drop.keep / total);
    store_lanes(result.lse + r, top * kLn2 + log_of(total));
  }
  return result;
}

/// out = weights · v / total over the first `keys` keys, for the rows of the block that exist.
template <class T>
void weigh_values(const ForwardScratch<T>& s, const Widths<T>& w, Index keys, const RowSums& sums,
                  const Matrix<T>& out) {
  constexpr Index kStride = ForwardScratch<T>::kWeightStride, kPerWord = Widths<T>::kPerWord;
  in_runs(0, w.padded / kLanes, [&]<int N>(Index v, Count<N>) {
    constexpr int M = kTileRows<N>;
    for (int m = 0; m < kBlock; m += M) {
      Lanes o[M][N];
      clear(o);
      for (Index first = 0; first < keys; first += kChunkKeys) {
        const Index count = keys - first < kChunkKeys ? keys - first : kChunkKeys;
        multiply_add<Words<T>>(o, {s.weight(m, first), kStride, 1},
                               {s.v_pairs + first / kPerWord * w.padded + v * kLanes, kLanes, w.padded},
                               count / kPerWord);
      }
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        if (m + i >= out.rows) break;
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) o[i][n] *= sums.inverse[m + i];
        store_result(out.at + (m + i) * out.stride + v * kLanes, o[i], w.values - v * kLanes);
      }
    }
  });
}

template <class T>
struct ForwardHead {
  Matrix<const T> q, k, v;
  Matrix<T> out;
  float* lse;   ///< [T]
  float scale;  ///< of q·k
  ops::Drop drop;
};

/// Query blocks [begin, end) of one head.
template <class T>
void forward_part(const ForwardHead<T>& h, Index begin, Index end, Prefetch next) {
  const Widths<T> w(h.q.width);
  const auto s = carved<ForwardScratch<T>>(Scratch::own, w, end);
  for (Index b = 0; b < end; ++b) {
    pack_panels(whole_block(h.k, b * kBlock, w, s.spare), w, s.k_panels + b * w.block());
    pack_pairs(whole_block(h.v, b * kBlock, w, s.spare), w, s.v_pairs + b * w.pairs_block());
  }
  for (Index b = begin; b < end; ++b) {
    const Index first = b * kBlock, keys = first + kBlock;
    const auto out = h.out.range(first, keys);
    pack_panels(whole_block(h.q, first, w, s.spare), w, s.q_panels);
    score_block(s, w, keys / kLanes, next);
    const RowSums sums = soften_block(s, keys, h.scale * kLog2E, from_row(h.drop, first));
    for (Index r = 0; r < out.rows; ++r) h.lse[first + r] = sums.lse[r];
    weigh_values(s, w, keys, sums, out);
  }
}

/// For a part, over as many steps as one like it takes.
template <class T>
Prefetch prefetch_forward(const ForwardHead<T>& h, Index begin, Index end) {
  Index steps = 0;
  for (Index b = begin; b < end; ++b) steps += ((b + 1) * kPanelsPerBlock + kTileVectors - 1) / kTileVectors;
  const Index first = begin * kBlock, last = end * kBlock;
  return Prefetch(steps, h.k.range(0, last), h.v.range(0, last), h.q.range(first, last),
                  h.out.range(first, last));
}

/// qkv [B·T, 3C] → out [B·T, C], lse [B, H, T].
template <class T>
void attention(const T* qkv, T* out, float* lse, const AttentionShape& shape) {
  const Split split(shape);
  const auto head = [&](Index i) {
    return ForwardHead<T>{
        head_of(qkv, shape, 3, 0, i),          head_of(qkv, shape, 3, 1, i), head_of(qkv, shape, 3, 2, i),
        head_of(out, shape, 1, 0, i),          lse + i * shape.tokens,       logit_scale(shape),
        from_row(shape.drop, i * shape.tokens)};
  };
  // Late queries see more keys: the heavy parts first.
  const auto part_of = [&](Index task) { return split.parts - 1 - task / split.heads; };
  for_tasks(split.tasks(), [&](Index task, Index next) {
    const Index p = part_of(task), n = part_of(next);
    forward_part(head(task % split.heads), split.begin(p), split.end(p),
                 prefetch_forward(head(next % split.heads), split.begin(n), split.end(n)));
  });
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
