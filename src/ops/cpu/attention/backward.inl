// Causal attention, backward: which tiles, in which order, and how the parts of a head meet in dQ.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

template <class T>
struct BackwardHead {
  Matrix<const T> q, k, v, out, dout;
  const float* lse;  ///< [T]
  Matrix<T> dq, dk, dv;
  float scale;
  ops::Drop drop;
};

template <class T>
float dot(const T* a, const T* b, Index n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += load(a + i) * load(b + i);
  return sum;
}

/// Packs the queries from block `begin` on, with what belongs to each of them.
template <class T>
void pack_queries(const BackwardHead<T>& h, const Widths<T>& w, Index begin, Index blocks,
                  const BackwardScratch<T>& s) {
  for (Index b = 0; b < blocks; ++b) {
    const Index first = (begin + b) * kBlock;
    const auto q = whole_block(h.q, first, w, s.spare);
    pack_panels(q, w, s.q_panels + b * w.block());
    pack_pairs(q, w, s.q_pairs + b * w.pairs_block());
    const auto dout = whole_block(h.dout, first, w, s.spare);
    pack_panels(dout, w, s.dout_panels + b * w.block());
    pack_pairs(dout, w, s.dout_pairs + b * w.pairs_block());
    for (Index r = 0; r < kBlock; ++r) {
      const Index t = first + r;
      const bool exists = t < h.q.rows;
      s.lse[b * kBlock + r] = exists ? h.lse[t] : 0;
      s.delta[b * kBlock + r] =
          exists ? dot(h.out.at + t * h.out.stride, h.dout.at + t * h.dout.stride, w.values) : 0;
    }
  }
}

/// `count` blocks of keys from `begin` (both of the head), which the queries `chunk` of the part see; query
/// block 0 of the part is key block `origin` of the head.
template <class T>
void backward_chunk(const BackwardHead<T>& h, const Widths<T>& w, const BackwardScratch<T>& s, Index begin,
                    Index count, Index origin, const Chunk& chunk, Prefetch& next, float* dq) {
  const Index chunk_panel = chunk.begin * kPanelsPerBlock, end_panel = chunk.end * kPanelsPerBlock;
  for (Index u = 0; u < count; ++u) {
    const Index diagonal = begin + u - origin, first = chunk.begin > diagonal ? chunk.begin : diagonal;
    in_runs(first * kPanelsPerBlock, end_panel, [&]<int N>(Index p, Count<N>) {
      score_tile<T, N>(s, w,
                       {u, p, p - chunk_panel, (begin + u) * kBlock, origin * kBlock + p * kLanes,
                        p * kLanes - diagonal * kBlock},
                       h.scale, h.drop, next);
    });
    const Index key = (begin + u) * kBlock;
    const Index left = u * kBlock * s.kStride + (first - chunk.begin) * w.kPairsPerBlock;
    const Index right = first * w.pairs_block(), sums = u * kBlock * w.padded;
    const Chunk seen{first, chunk.end, chunk.first, chunk.last};
    sum_over_queries(s.weights + left, s.dout_pairs + right, seen, w, s.dv + sums, h.drop.keep,
                     h.dv.range(key, key + kBlock));
    sum_over_queries(s.dscores + left, s.q_pairs + right, seen, w, s.dk + sums, h.scale,
                     h.dk.range(key, key + kBlock));
  }
  Index panel = chunk_panel;
  for (; panel < end_panel; ++panel) {  // near the diagonal a query sees only some of the blocks
    const Index seen = panel / kPanelsPerBlock + origin - begin + 1;
    if (seen >= count) break;
    sum_over_keys<T, 1>(s, w, panel, panel - chunk_panel, {seen * w.kPairsPerBlock, begin == origin}, dq);
  }
  in_runs(panel, end_panel, [&]<int N>(Index p, Count<N>) {
    sum_over_keys<T, N>(s, w, p, p - chunk_panel, {count * w.kPairsPerBlock, begin == origin}, dq);
  });
}

/// dK and dV of the key blocks [begin, end) of one head, and what these keys give to dQᵀ.
template <class T>
void backward_part(const BackwardHead<T>& h, const Widths<T>& w, const BackwardScratch<T>& s, Index begin,
                   Index end, Prefetch next, float* dq) {
  const Index blocks = (h.q.rows + kBlock - 1) / kBlock, queries = blocks - begin;
  pack_queries(h, w, begin, queries, s);
  for (Index key = begin; key < end; key += kKeyBlocks) {
    const Index count = end - key < kKeyBlocks ? end - key : kKeyBlocks;
    for (Index u = 0; u < count; ++u) {
      const Index first = (key + u) * kBlock;
      const auto k = whole_block(h.k, first, w, s.spare);
      pack_panels(k, w, s.k_panels + u * w.block());
      pack_pairs(k, w, s.k_pairs + u * w.pairs_block());
      pack_panels(whole_block(h.v, first, w, s.spare), w, s.v_panels + u * w.block());
    }
    const Index start = key - begin;
    for (Index c = start; c < queries; c += kChunkBlocks) {
      const Index stop = c + kChunkBlocks < queries ? c + kChunkBlocks : queries;
      backward_chunk(h, w, s, key, count, begin, {c, stop, c == start, stop == queries}, next, dq);
    }
  }
}

/// dq = scale · the transpose of the sum of all parts' dQᵀ, part by part.
template <class T>
void write_dq(const Matrix<T>& dq, const float* parts, const Split& split, const Widths<T>& w, float scale) {
  const Index block = kBlock * w.padded;
  for (Index b = 0; b < split.blocks; ++b)
    for (Index panel = 0; panel < kPanelsPerBlock; ++panel)
      for (Index d = 0; d < w.padded; d += kLanes) {
        LaneBits square[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          const Index inside = (panel * w.padded + d + i) * kLanes;
          Lanes sum = load_lanes(parts + b * block + inside);
          for (Index p = 1; p < split.parts && split.begin(p) <= b; ++p)
            sum += load_lanes(parts + (split.partial_blocks(p) + b - split.begin(p)) * block + inside);
          square[i] = reinterpret_cast<LaneBits>(sum * scale);
        }
        transpose(square);
        for (int i = 0; i < kLanes; ++i) {
          const Index t = b * kBlock + panel * kLanes + i;
          if (t >= dq.rows) break;
          const Lanes row[1] = {reinterpret_cast<Lanes>(square[i])};
          store_result(dq.at + t * dq.stride + d, row, w.values - d);
        }
      }
}

/// For a part, over as many steps as one like it takes.
template <class T>
Prefetch prefetch_backward(const BackwardHead<T>& h, Index begin, Index end) {
  const Index first = begin * kBlock, last = end * kBlock, all = h.q.rows;
  const Index queries = (all - first + kBlock - 1) / kBlock, tiles = (end - begin) * queries / 2;
  const Index steps = tiles * kPanelsPerBlock * (kBlock / kTileRows<kTileVectors>) / kTileVectors;
  return Prefetch(steps, h.q.range(first, all), h.dout.range(first, all), h.out.range(first, all),
                  h.k.range(first, last), h.v.range(first, last), h.dq.range(first, all),
                  h.dk.range(first, last), h.dv.range(first, last));
}

/// Parts of a head add to the same dQ: each has sums of its own, and the part that ends last adds them up.
struct SharedSums {
  SharedSums(Carver& c, const Split& split, Index width)
      : head(split.parts > 1 ? split.partial_blocks(split.parts) * kBlock * width : 0),
        finished(c.take<Index>(split.parts > 1 ? split.heads : 0)),
        dq(c.take<float>(split.heads * head)) {}
  Index head;       ///< floats of one head, 0 where heads are whole
  Index* finished;  ///< per head, parts that are done
  float* dq;        ///< [head][part]: dQᵀ of the part's queries
};

/// dout [B·T, C], qkv [B·T, 3C], out [B·T, C], lse [B, H, T] → dqkv [B·T, 3C].
template <class T>
void attention_backward(const T* dout, const T* qkv, const T* out, const float* lse, T* dqkv,
                        const AttentionShape& shape) {
  const Split split(shape);
  const Widths<T> w(shape.width);
  const auto shared = carved<SharedSums>(Scratch::team, split, w.padded);
  const bool whole = split.parts == 1;
  for (Index i = 0; i < split.heads && !whole; ++i) shared.finished[i] = 0;
  const auto head = [&](Index i) {
    return BackwardHead<T>{head_of(qkv, shape, 3, 0, i),          head_of(qkv, shape, 3, 1, i),
                           head_of(qkv, shape, 3, 2, i),          head_of(out, shape, 1, 0, i),
                           head_of(dout, shape, 1, 0, i),         lse + i * shape.tokens,
                           head_of(dqkv, shape, 3, 0, i),         head_of(dqkv, shape, 3, 1, i),
                           head_of(dqkv, shape, 3, 2, i),         logit_scale(shape),
                           from_row(shape.drop, i * shape.tokens)};
  };
  // Early keys are seen by more queries: tasks in the order of parts have the heavy ones first.
  for_tasks(split.tasks(), [&](Index task, Index next) {
    const Index i = task % split.heads, p = task / split.heads, n = next / split.heads;
    const auto h = head(i);
    const auto s = carved<BackwardScratch<T>>(Scratch::own, w, split.blocks - split.begin(p),
                                              whole ? split.blocks : Index{0});
    float* parts = whole ? s.dq : shared.dq + i * shared.head;
    backward_part(h, w, s, split.begin(p), split.end(p),
                  prefetch_backward(head(next % split.heads), split.begin(n), split.end(n)),
                  parts + split.partial_blocks(p) * kBlock * w.padded);
    if (whole || __atomic_add_fetch(&shared.finished[i], 1, __ATOMIC_ACQ_REL) == split.parts)
      write_dq(h.dq, parts, split, w, h.scale);
  });
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
