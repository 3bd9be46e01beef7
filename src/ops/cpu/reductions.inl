// Sums over rows: every thread adds up its own rows into a private line, then the lines are added in thread
// order. Rows are dealt out in equal runs, so the bits depend on the number of threads and on nothing else.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

/// Zeroed scratch of one line of n floats per thread.
struct Lines {
  explicit Lines(Index n) : length((n + 15) / 16 * 16), threads(omp_get_max_threads()) {
    data = static_cast<float*>(__builtin_calloc(static_cast<std::size_t>(length * threads), sizeof(float)));
  }
  ~Lines() { __builtin_free(data); }
  float* mine() const { return data + omp_get_thread_num() * length; }
  void total(float* out, Index from, Index n, bool add) const {
    for (Index i = 0; i < n; ++i) {
      float sum = 0;
      for (int t = 0; t < threads; ++t) sum += data[t * length + from + i];
      out[i] = add ? out[i] + sum : sum;
    }
  }
  Index length;
  int threads;
  float* data;
};

template <class T>
void column_sum(const T* x, float* out, bool add, Index R, Index N) {
  const Lines lines(N);
#pragma omp parallel
  {
    float* line = lines.mine();
#pragma omp for schedule(static)
    for (Index r = 0; r < R; ++r) {
      const T* row = x + r * N;
#pragma omp simd
      for (Index i = 0; i < N; ++i) line[i] += load(row + i);
    }
  }
  lines.total(out, 0, N, add);
}

template <class T>
void add_to(const T* x, float* out, bool add, Index n) {
#pragma omp parallel for simd schedule(static)
  for (Index i = 0; i < n; ++i) out[i] = add ? out[i] + load(x + i) : load(x + i);
}

/// Σ x² of one block: sixteen lanes, always the same element in the same lane.
inline double block_squares(const float* x, Index n) {
  double lanes[16] = {};
  Index i = 0;
  for (; i + 16 <= n; i += 16)
    for (Index l = 0; l < 16; ++l) lanes[l] += static_cast<double>(x[i + l]) * static_cast<double>(x[i + l]);
  for (; i < n; ++i) lanes[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

constexpr Index kSquareBlock = 16384;

/// squares[b] = Σ x² of block b; the number of blocks is returned.
Index squares_of_blocks(const float* x, Index n, double* squares) {
  const Index blocks = (n + kSquareBlock - 1) / kSquareBlock;
#pragma omp parallel for schedule(static)
  for (Index b = 0; b < blocks; ++b) {
    const Index from = b * kSquareBlock;
    squares[b] = block_squares(x + from, from + kSquareBlock < n ? kSquareBlock : n - from);
  }
  return blocks;
}

constexpr Index kSumTile = 1024;  // elements: the partial sums of a tile stay in the first cache

/// out[i] = Σ over p in [lo, hi) of parts[p][at + i], as one binary tree; n <= kSumTile.
void sum_tile(const float* const* parts, Index lo, Index hi, Index at, float* __restrict out, Index n) {
  const float* a = parts[lo] + at;
  if (hi - lo == 2) {
    const float* b = parts[lo + 1] + at;
    for (Index i = 0; i < n; ++i) out[i] = a[i] + b[i];
    return;
  }
  if (hi - lo == 1) {
    for (Index i = 0; i < n; ++i) out[i] = a[i];
    return;
  }
  Index left = 1;
  while (2 * left < hi - lo) left *= 2;
  float right[kSumTile];
  sum_tile(parts, lo, lo + left, at, out, n);
  sum_tile(parts, lo + left, hi, at, right, n);
  for (Index i = 0; i < n; ++i) out[i] += right[i];
}

/// out = Σ parts (out may be one of them), squares[b] = Σ out² of block b.
void sum_parts(const float* const* parts, Index count, float* out, double* squares, Index n) {
  const Index blocks = (n + kSquareBlock - 1) / kSquareBlock;
#pragma omp parallel for schedule(static)
  for (Index b = 0; b < blocks; ++b) {
    const Index from = b * kSquareBlock, end = from + kSquareBlock < n ? from + kSquareBlock : n;
    for (Index i = from; i < end; i += kSumTile) {
      const Index length = i + kSumTile < end ? kSumTile : end - i;
      float sum[kSumTile];
      sum_tile(parts, 0, count, i, sum, length);
      __builtin_memcpy(out + i, sum, static_cast<std::size_t>(length) * sizeof(float));
    }
    squares[b] = block_squares(out + from, end - from);
  }
}

double sum_of_squares(const float* x, Index n) {
  const Index blocks = (n + kSquareBlock - 1) / kSquareBlock;
  double* partial = static_cast<double*>(__builtin_malloc(static_cast<std::size_t>(blocks) * sizeof(double)));
  squares_of_blocks(x, n, partial);
  double total = 0;
  for (Index b = 0; b < blocks; ++b) total += partial[b];
  __builtin_free(partial);
  return total;
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
