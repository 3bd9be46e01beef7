// Fetches what a thread's next task will read and write into its second-level cache, a few rows at a time
// between the products of the present task. Without it packing waits for memory, and so do the stores of
// results.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

class Prefetch {
 public:
  /// `steps` calls of step() fetch the matrices: those first named that together leave room in the cache.
  template <class... M>
  explicit Prefetch(Index steps, const M&... matrices) : of_{Rows(matrices)...} {
    constexpr Index kMostBytes = Index{512} << 10;
    Index bytes = 0, most = 0;
    for (; count_ < static_cast<int>(sizeof...(M)); ++count_) {
      const Rows& x = of_[count_];
      bytes += x.rows * x.bytes;
      if (bytes > kMostBytes) break;
      most = x.rows > most ? x.rows : most;
    }
    rows_per_step_ = most / (steps > 0 ? steps : 1) + 1;
  }
  void step() {
    for (const Index end = row_ + rows_per_step_; row_ < end; ++row_)
      for (int i = 0; i < count_; ++i) {
        if (row_ >= of_[i].rows) continue;
        const char* line = of_[i].at + row_ * of_[i].stride;
        for (Index b = 0; b < of_[i].bytes; b += 64) __builtin_prefetch(line + b, 0, 2);
      }
  }

 private:
  struct Rows {
    Rows() = default;
    template <class T>
    explicit Rows(const Matrix<T>& x)
        : at(reinterpret_cast<const char*>(x.at)),
          stride(x.stride * static_cast<Index>(sizeof(T))),
          rows(x.rows),
          bytes(x.width * static_cast<Index>(sizeof(T))) {}
    const char* at = nullptr;
    Index stride = 0, rows = 0, bytes = 0;
  };
  Rows of_[8];
  int count_ = 0;
  Index rows_per_step_ = 0, row_ = 0;
};

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
