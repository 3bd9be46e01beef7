// Dropout (Srivastava et al. 2014) with masks from Philox4x32-10 at counter = (row, column / 4): nothing is
// stored.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

/// The same function as Philox::block (core/philox.hpp), written here so that it is compiled for this
/// instruction set.
inline void philox(std::uint64_t key, std::uint64_t counter, std::uint64_t high, std::uint32_t (&c)[4]) {
  c[0] = static_cast<std::uint32_t>(counter), c[1] = static_cast<std::uint32_t>(counter >> 32);
  c[2] = static_cast<std::uint32_t>(high), c[3] = static_cast<std::uint32_t>(high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xd2511f53ULL * c[0], p1 = 0xcd9e8d57ULL * c[2];
    c[0] = static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, c[1] = static_cast<std::uint32_t>(p1);
    c[2] = static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, c[3] = static_cast<std::uint32_t>(p0);
    k0 += 0x9e3779b9U, k1 += 0xbb67ae85U;
  }
}

template <class T>
void dropout(T* x, double p, std::uint64_t key, Index first_row, Index R, Index C) {
  const double wanted = p * 4294967296.0;
  const std::uint64_t threshold = static_cast<std::uint64_t>(wanted);
  const float keep = static_cast<float>(1.0 / (1.0 - p));
#pragma omp parallel for schedule(static)
  for (Index r = 0; r < R; ++r)
    for (Index i = 0; i < C; i += 4) {
      std::uint32_t words[4];
      philox(key, static_cast<std::uint64_t>(i / 4), static_cast<std::uint64_t>(first_row + r), words);
      for (Index k = 0; k < 4 && i + k < C; ++k) {
        T* at = x + r * C + i + k;
        store(at, words[k] < threshold ? 0.0F : load(at) * keep);
      }
    }
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
