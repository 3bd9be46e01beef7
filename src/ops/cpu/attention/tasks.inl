// How the work is cut into tasks. Sums are only ever cut here, by the shape alone, so that the result is the
// same bits for any number of threads.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

constexpr Index kKeyBlocks = 4;  ///< blocks of keys that the backward pass takes together

/// A task is a part of one (row of the batch, head): a range of query blocks in the forward pass, of key
/// blocks in the backward pass. There is one part unless heads are few; parts are numbered from the first
/// block on.
struct Split {
  explicit Split(const AttentionShape& s)
      : heads(s.batch * s.heads), blocks((s.tokens + kBlock - 1) / kBlock) {
    constexpr Index kWanted = 32;    // tasks in all
    constexpr Index kSmallest = 16;  // blocks of a part: each part packs anew what it shares with others
    const Index wanted = (kWanted + heads - 1) / heads, possible = blocks / kSmallest;
    const Index count = wanted < possible ? wanted : possible > 0 ? possible : 1;
    part = ((blocks + count - 1) / count + kKeyBlocks - 1) / kKeyBlocks * kKeyBlocks;
    parts = (blocks + part - 1) / part;
  }
  Index begin(Index p) const { return p * part; }
  Index end(Index p) const { return (p + 1) * part < blocks ? (p + 1) * part : blocks; }
  Index tasks() const { return heads * parts; }
  /// Blocks of partial sums for dQ before those of part p: part i has one for each query block from begin(i)
  /// on.
  Index partial_blocks(Index p) const { return p * blocks - part * (p * (p - 1) / 2); }

  Index heads, blocks;  ///< B·H; blocks of kBlock rows in a head
  Index part, parts;    ///< blocks of a part (the last may be shorter); parts of a head
};

/// f(task, next) for every task, in order, by whichever thread is free; `next` is what the same thread will
/// do afterwards, or the task itself.
template <class F>
void for_tasks(Index tasks, F f) {
  Index taken = 0;
#pragma omp parallel if (tasks > 1)
  {
    Index task = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
    while (task < tasks) {
      const Index next = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
      f(task, next < tasks ? next : task);
      task = next;
    }
  }
}

/// What q·k is multiplied by.
inline float logit_scale(const AttentionShape& s) {
  return s.scale / __builtin_sqrtf(static_cast<float>(s.width));
}

/// The rows of head `index` (of B·H) in a [B·T, parts·C] tensor; `part` counts from 0.
template <class T>
Matrix<T> head_of(T* x, const AttentionShape& s, Index parts, Index part, Index index) {
  const Index C = s.heads * s.width, stride = parts * C;
  return {x + index / s.heads * s.tokens * stride + part * C + index % s.heads * s.width, stride, s.tokens,
          s.width};
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
