// Dropout of whole rows.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

template <class T>
void dropout(T* x, const ops::Drop& drop, Index R, Index C) {
#pragma omp parallel for schedule(static)
  for (Index r = 0; r < R; ++r) {
    T* row = x + r * C;
    for (Index c = 0; c < C; c += 2 * kLanes) {
      LaneBits words[2];
      draw_along_row(drop.key, drop.first_row + r, c / 4, words);
      if (c + 2 * kLanes <= C) {
#pragma GCC unroll 2
        for (int n = 0; n < 2; ++n) {
          const Lanes kept = load_lanes(row + c + n * kLanes) * drop.keep;
          store_lanes(row + c + n * kLanes, without_dropped(kept, words[n], drop));
        }
        continue;
      }
      std::uint32_t last[2 * kLanes];
      store_as(last, words);
      for (Index k = 0; c + k < C; ++k)
        store(row + c + k, last[k] < drop.threshold ? 0.0F : load(row + c + k) * drop.keep);
    }
  }
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
