// Token + position embedding. Backward: threads own columns, not rows, so equal tokens never collide and sums
// keep row order.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

void embedding(const Index* tokens, const float* wte, const float* wpe, float* x, Index R, Index T, Index C) {
#pragma omp parallel for schedule(static)
  for (Index r = 0; r < R; ++r) {
    const float *token = wte + tokens[r] * C, *position = wpe + (r % T) * C;
    float* out = x + r * C;
#pragma omp simd
    for (Index i = 0; i < C; ++i) out[i] = token[i] + position[i];
  }
}

void embedding_backward(const float* dx, const Index* tokens, float* dwte, float* dwpe, bool add, Index R,
                        Index T, Index C, Index positions) {
  constexpr Index kColumns = 64;
#pragma omp parallel for schedule(static)
  for (Index from = 0; from < C; from += kColumns) {
    const Index n = from + kColumns < C ? kColumns : C - from;
    for (Index p = 0; p < positions; ++p) {
      float* out = dwpe + p * C + from;
      float sums[kColumns] = {};
      for (Index r = p; p < T && r < R; r += T)
        for (Index i = 0; i < n; ++i) sums[i] += dx[r * C + from + i];
      for (Index i = 0; i < n; ++i) out[i] = add ? out[i] + sums[i] : sums[i];
    }
    for (Index r = 0; r < R; ++r) {
      float* out = dwte + tokens[r] * C + from;
      const float* d = dx + r * C + from;
      for (Index i = 0; i < n; ++i) out[i] += d[i];
    }
  }
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
