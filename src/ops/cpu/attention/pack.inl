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
  Index row;     ///< depth in whole vectors
  Index padded;  ///< D in whole vectors: one row of the pairs layout and of results
  Index row_values() const { return row * kPerWord; }
  Index block() const { return kBlock * row; }
  Index panel() const { return kLanes * row; }
  /// Rows from t on, which do not leave their panel, as the first operand of a sum over D.
  Operand column(const Word* panels, Index t) const {
    return {panels + t / kLanes * panel() + t % kLanes, 1, kLanes};
  }
  Index pairs_block() const { return kPairsPerBlock * padded; }
};

/// Rows [first, first + kBlock) of x, all of row_values() values: x itself where it has them, else a copy in
/// `spare` with zeros.
template <class T>
Matrix<const T> whole_block(const Matrix<const T>& x, Index first, const Widths<T>& w, T* spare) {
  const Index length = w.row_values();
  if (w.values == length && first + kBlock <= x.rows) return x.range(first, first + kBlock);
  for (Index t = 0; t < kBlock; ++t) {
    const Index used = first + t < x.rows ? w.values : 0;
    T* row = spare + t * length;
    if (used > 0)
      __builtin_memcpy(row, x.at + (first + t) * x.stride, static_cast<std::size_t>(used) * sizeof(T));
    for (Index d = used; d < length; ++d) row[d] = T{};
  }
  return {spare, length, kBlock, length};
}

template <class T>
void pack_panels(const Matrix<const T>& block, const Widths<T>& w, Word* panels) {
  for (int p = 0; p < kPanelsPerBlock; ++p)
    for (Index d = 0; d < w.row; d += kLanes) {
      const T* corner = block.at + p * kLanes * block.stride + d * w.kPerWord;
      LaneBits square[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) square[i] = Words<T>::load_row(corner + i * block.stride);
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store_as(panels + p * w.panel() + (d + i) * kLanes, square[i]);
    }
}

template <class T>
void pack_pairs(const Matrix<const T>& block, const Widths<T>& w, Word* pairs) {
  for (Index t = 0; t < kBlock; t += w.kPerWord, pairs += w.padded)
    Words<T>::interleave(block.at + t * block.stride, block.stride, w.padded, pairs);
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

/// S(carver, arguments…) over scratch memory of this kind.
template <class S, class... Arguments>
S carved(Scratch kind, const Arguments&... arguments) {
  Carver measure;
  S(measure, arguments...);
  Carver carver{scratch(kind, measure.used)};
  return S(carver, arguments...);
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
