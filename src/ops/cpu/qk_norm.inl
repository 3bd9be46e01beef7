// LayerNorm of each query and key over its head's features (Dehghani et al. 2023), in place in the fused
// projection, and its backward pass. A head is a few cache lines: mean and deviation are computed again in
// backward rather than kept.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

struct Moments {
  float mean, rstd;
};

template <class T>
Moments moments_of(const T* x, Index D) {
  const float inverse = 1.0F / static_cast<float>(D);
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < D; ++i) sum += load(x + i);
  const float mean = sum * inverse;
#pragma omp simd reduction(+ : squares)
  for (Index i = 0; i < D; ++i) squares += (load(x + i) - mean) * (load(x + i) - mean);
  return {mean, 1.0F / __builtin_sqrtf(squares * inverse + kLayerNormEps)};
}

template <class T>
void qk_norm(T* qkv, T* raw, const QkNormWeights& norm, Index R, Index H, Index D) {
  const Index C = H * D;
#pragma omp parallel for schedule(static)
  for (Index r = 0; r < R; ++r) {
    if (raw != nullptr)
      __builtin_memcpy(raw + r * 2 * C, qkv + r * 3 * C, static_cast<std::size_t>(2 * C) * sizeof(T));
    for (Index head = 0; head < 2 * H; ++head) {  // those of q, then those of k
      T* x = qkv + r * 3 * C + head * D;
      const float *w = norm.gain[head / H], *b = norm.bias[head / H];
      const Moments m = moments_of(x, D);
      if (b != nullptr) {
#pragma omp simd
        for (Index i = 0; i < D; ++i) store(x + i, (load(x + i) - m.mean) * m.rstd * w[i] + b[i]);
      } else {
#pragma omp simd
        for (Index i = 0; i < D; ++i) store(x + i, (load(x + i) - m.mean) * m.rstd * w[i]);
      }
    }
  }
}

/// One head of one row, dy becomes dx: with n = (x − mean)·rstd and d = dy·w, dx = (d − mean(d) −
/// n·mean(d·n))·rstd.
template <class T>
void qk_norm_backward_head(T* dy, const T* x, const float* w, float* dw, float* db, Index D) {
  const Moments m = moments_of(x, D);
  float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
  for (Index i = 0; i < D; ++i) {
    const float g = load(dy + i), n = (load(x + i) - m.mean) * m.rstd, d = g * w[i];
    sum += d;
    dot += d * n;
    dw[i] += g * n;
    db[i] += g;
  }
  sum /= static_cast<float>(D);
  dot /= static_cast<float>(D);
#pragma omp simd
  for (Index i = 0; i < D; ++i)
    store(dy + i, (load(dy + i) * w[i] - sum - (load(x + i) - m.mean) * m.rstd * dot) * m.rstd);
}

template <class T>
void qk_norm_backward(T* dqkv, const T* raw, const QkNormWeights& norm, const QkNormGradients& gradients,
                      bool add, Index R, Index H, Index D) {
  const Index C = H * D;
  const Lines lines(4 * D);  // gain and bias of q, gain and bias of k
#pragma omp parallel
  {
    float* line = lines.mine();
#pragma omp for schedule(static)
    for (Index r = 0; r < R; ++r)
      for (Index head = 0; head < 2 * H; ++head) {
        float* sums = line + head / H * 2 * D;
        qk_norm_backward_head(dqkv + r * 3 * C + head * D, raw + r * 2 * C + head * D, norm.gain[head / H],
                              sums, sums + D, D);
      }
  }
  for (Index part = 0; part < 2; ++part) {
    lines.total(gradients.gain[part], part * 2 * D, D, add);
    if (gradients.bias[part] != nullptr) lines.total(gradients.bias[part], part * 2 * D + D, D, add);
  }
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
