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

double sum_of_squares(const float* x, Index n) {
  constexpr Index kBlock = 16384;
  const Index blocks = (n + kBlock - 1) / kBlock;
  double* partial = static_cast<double*>(__builtin_malloc(static_cast<std::size_t>(blocks) * sizeof(double)));
#pragma omp parallel for schedule(static)
  for (Index b = 0; b < blocks; ++b) {
    const Index end = (b + 1) * kBlock < n ? (b + 1) * kBlock : n;
    double lanes[16] = {};
    Index i = b * kBlock;
    for (; i + 16 <= end; i += 16)
      for (Index l = 0; l < 16; ++l)
        lanes[l] += static_cast<double>(x[i + l]) * static_cast<double>(x[i + l]);
    for (; i < end; ++i) lanes[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    partial[b] = sum;
  }
  double total = 0;
  for (Index b = 0; b < blocks; ++b) total += partial[b];
  __builtin_free(partial);
  return total;
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
