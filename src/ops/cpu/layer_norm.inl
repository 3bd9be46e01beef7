// Residual addition and LayerNorm in one pass over each row (Ba, Kiros and Hinton 2016), and its backward
// pass.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

constexpr float kLayerNormEps = 1e-5F;

template <class T>
void residual_layer_norm(const float* residual, const T* branch, float* s, const float* w, const float* b,
                         T* y, float* mean, float* rstd, Index R, Index C) {
  const float inverse = 1.0F / static_cast<float>(C);
#pragma omp parallel for schedule(static)
  for (Index r = 0; r < R; ++r) {
    const float* x = residual + r * C;
    float* row = s + r * C;
    T* out = y + r * C;
    float sum = 0, squares = 0;
    if (branch != nullptr) {
      const T* add = branch + r * C;
#pragma omp simd reduction(+ : sum)
      for (Index i = 0; i < C; ++i) {
        const float v = x[i] + load(add + i);
        row[i] = v;
        sum += v;
      }
    } else {
#pragma omp simd reduction(+ : sum)
      for (Index i = 0; i < C; ++i) sum += x[i];
      row = const_cast<float*>(x);
    }
    const float m = sum * inverse;
#pragma omp simd reduction(+ : squares)
    for (Index i = 0; i < C; ++i) squares += (row[i] - m) * (row[i] - m);
    const float scale = 1.0F / __builtin_sqrtf(squares * inverse + kLayerNormEps);
    if (b != nullptr) {
#pragma omp simd
      for (Index i = 0; i < C; ++i) store(out + i, (row[i] - m) * scale * w[i] + b[i]);
    } else {
#pragma omp simd
      for (Index i = 0; i < C; ++i) store(out + i, (row[i] - m) * scale * w[i]);
    }
    mean[r] = m;
    rstd[r] = scale;
  }
}

/// One row: with n = (s − mean)·rstd and d = dy·w, ds = (d − mean(d) − n·mean(d·n))·rstd. Adds to the lines
/// of dw and db.
template <class T>
void layer_norm_backward_row(const T* dy, const float* s, float m, float scale, const float* w, float* ds,
                             bool onto, T* ds_work, float* dw, float* db, Index C) {
  float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
  for (Index i = 0; i < C; ++i) {
    const float g = load(dy + i), n = (s[i] - m) * scale, d = g * w[i];
    sum += d;
    dot += d * n;
    dw[i] += g * n;
    db[i] += g;
  }
  sum /= static_cast<float>(C);
  dot /= static_cast<float>(C);
  if (onto) {
#pragma omp simd
    for (Index i = 0; i < C; ++i) ds[i] += (load(dy + i) * w[i] - sum - (s[i] - m) * scale * dot) * scale;
  } else {
#pragma omp simd
    for (Index i = 0; i < C; ++i) ds[i] = (load(dy + i) * w[i] - sum - (s[i] - m) * scale * dot) * scale;
  }
  if (ds_work != nullptr) {
#pragma omp simd
    for (Index i = 0; i < C; ++i) store(ds_work + i, ds[i]);
  }
}

template <class T>
void layer_norm_backward(const T* dy, const float* s, const float* mean, const float* rstd, const float* w,
                         float* ds, bool onto, T* ds_work, float* dw, float* db, bool add, Index R, Index C) {
  const Lines lines(2 * C);
#pragma omp parallel
  {
    float* line = lines.mine();
#pragma omp for schedule(static)
    for (Index r = 0; r < R; ++r)
      layer_norm_backward_row(dy + r * C, s + r * C, mean[r], rstd[r], w, ds + r * C, onto,
                              ds_work == nullptr ? nullptr : ds_work + r * C, line, line + C, C);
  }
  lines.total(dw, 0, C, add);
  if (db != nullptr) lines.total(db, C, C, add);
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
