// Layouts of q, k, v and dO in scratch memory. All rows come in blocks of kBlock (zeros behind the last one)
// and are padded with zeros to whole vectors, so the products never test for an end. With w = values per
// word:
//   rows    [t][D/w]            as in memory
//   panels  [t/lanes][D/w][t]   transposed, kLanes rows side by side: either operand of sums over D
//   pairs   [t/w][D]            w neighbouring rows in one word: either operand of sums over t
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

constexpr int kBlock = 16;
constexpr int kPanelsPerBlock = kBlock / kLanes;

/// One head inside a [B·T, n·C] tensor: [rows, width], the rows `stride` apart.
template <class T>
struct Matrix {
  T* at;
  Index stride, rows, width;
  /// Rows [begin, end), or those of them that exist.
  Matrix range(Index begin, Index end) const {
    return {at + begin * stride, stride, (end < rows ? end : rows) - begin, width};
  }
};

/// Sizes that follow from the head width D, in words.
template <class T>
struct Widths {
  static constexpr Index kPerWord = Words<T>::kPerWord;
  static constexpr Index kPairsPerBlock = kBlock / kPerWord;
  explicit Widths(Index D)
      : values(D),
        depth((D + kPerWord - 1) / kPerWord),
        row((depth + kLanes - 1) / kLanes * kLanes),
        padded((D + kLanes - 1) / kLanes * kLanes) {}
  Index values;  ///< D
  Index depth;   ///< words of a row that hold values: the steps of a sum over D
  Index row;     ///< depth in whole vectors: one row of the rows layout
  Index padded;  ///< D in whole vectors: one row of the pairs layout and of results
  Index block() const { return kBlock * row; }  ///< in the rows or the panels layout
  Index panel() const { return kLanes * row; }
  /// Rows from t on, which do not leave their panel, as the first operand of a sum over D.
  Operand column(const Word* panels, Index t) const {
    return {panels + t / kLanes * panel() + t % kLanes, 1, kLanes};
  }
  Index pairs_block() const { return kPairsPerBlock * padded; }
};

/// Rows [first, first + kBlock) of x in the rows layout.
template <class T>
void pack_rows(const Matrix<const T>& x, Index first, const Widths<T>& w, Word* rows) {
  for (Index t = first; t < first + kBlock; ++t, rows += w.row) {
    const Index used = t < x.rows ? w.depth : 0;
    if (used > 0) Words<T>::copy_row(x.at + t * x.stride, w.values, rows);
    for (Index i = used; i < w.row; ++i) rows[i] = 0;
  }
}

template <class T>
void pack_panels(const Word* rows, const Widths<T>& w, Word* panels) {
  for (int p = 0; p < kPanelsPerBlock; ++p)
    for (Index d = 0; d < w.row; d += kLanes) {
      LaneBits square[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) square[i] = load_as<LaneBits>(rows + (p * kLanes + i) * w.row + d);
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store_as(panels + p * w.panel() + (d + i) * kLanes, square[i]);
    }
}

template <class T>
void pack_pairs(const Word* rows, const Widths<T>& w, Word* pairs) {
  constexpr Index kStep = Widths<T>::kPerWord;
  for (Index t = 0; t < kBlock; t += kStep, pairs += w.padded)
    Words<T>::interleave(rows + t * w.row, w.row, w.padded, pairs);
}

/// Hands out pieces of scratch memory; without memory it only measures.
struct Carver {
  std::byte* memory = nullptr;
  std::size_t used = 0;
  template <class X>
  X* take(Index count) {
    X* piece = memory == nullptr ? nullptr : reinterpret_cast<X*>(memory + used);
    used += (static_cast<std::size_t>(count) * sizeof(X) + 63) / 64 * 64;
    return piece;
  }
};

/// S(carver, arguments…) over this thread's scratch memory.
template <class S, class... Arguments>
S carved(const Arguments&... arguments) {
  Carver measure;
  S(measure, arguments...);
  Carver carver{scratch(Scratch::own, measure.used)};
  return S(carver, arguments...);
}

/// Fetches what the thread's next task will pack, a few rows between products, so that packing does not wait
/// for DRAM.
template <class T>
struct Prefetch {
  Matrix<const T> of[5];
  int count;
  Index rows_per_step, row = 0;
  void step() {
    for (const Index end = row + rows_per_step; row < end; ++row)
      for (int i = 0; i < count; ++i) {
        if (row >= of[i].rows) continue;
        const char* line = reinterpret_cast<const char*>(of[i].at + row * of[i].stride);
        const Index bytes = of[i].width * static_cast<Index>(sizeof(T));
        for (Index b = 0; b < bytes; b += 64) __builtin_prefetch(line + b, 0, 2);
      }
  }
};

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
