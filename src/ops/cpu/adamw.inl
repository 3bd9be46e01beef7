// AdamW (Loshchilov and Hutter 2019), clip factor, and the rounding to bf16 in one pass over w, g, m, v.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

template <bool Copy, bool Measure>
double adamw_block(float* __restrict w, const float* __restrict g, float* __restrict m, float* __restrict v,
                   bf16* __restrict copy, Index n, const AdamWScalars& h) {
  const float keep = h.keep, step = h.step_size, b1 = h.beta1, b2 = h.beta2, c1 = 1 - h.beta1,
              c2 = 1 - h.beta2, eps = h.eps, root = h.inverse_root2, scale = h.grad_scale;
  float moved = 0;
#pragma omp simd reduction(+ : moved)
  for (Index i = 0; i < n; ++i) {
    const float grad = g[i] * scale, first = b1 * m[i] + c1 * grad, second = b2 * v[i] + c2 * grad * grad;
    m[i] = first;
    v[i] = second;
    const float after = w[i] * keep - step * first / (__builtin_sqrtf(second) * root + eps);
    if constexpr (Measure) moved += (after - w[i]) * (after - w[i]);
    w[i] = after;
    if constexpr (Copy) store(copy + i, after);
  }
  return static_cast<double>(moved);
}

template <bool Copy, bool Measure>
double adamw_all(float* w, const float* g, float* m, float* v, bf16* copy, Index n, const AdamWScalars& h) {
  constexpr Index kBlock = 4096;
  const Index blocks = (n + kBlock - 1) / kBlock;
  double* moved =
      Measure ? static_cast<double*>(__builtin_malloc(static_cast<std::size_t>(blocks) * sizeof(double)))
              : nullptr;
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (Index b = 0; b < blocks; ++b) {
    const Index from = b * kBlock, count = from + kBlock < n ? kBlock : n - from;
    const double d = adamw_block<Copy, Measure>(w + from, g + from, m + from, v + from,
                                                Copy ? copy + from : nullptr, count, h);
    if constexpr (Measure) moved[b] = d;
  }
  double total = 0;
  if constexpr (Measure)
    for (Index b = 0; b < blocks; ++b) total += moved[b];
  __builtin_free(moved);
  return total;
}

double adamw(float* w, const float* g, float* m, float* v, bf16* copy, Index n, const AdamWScalars& h,
             bool measure) {
  if (copy != nullptr)
    return measure ? adamw_all<true, true>(w, g, m, v, copy, n, h)
                   : adamw_all<true, false>(w, g, m, v, copy, n, h);
  return measure ? adamw_all<false, true>(w, g, m, v, copy, n, h)
                 : adamw_all<false, false>(w, g, m, v, copy, n, h);
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
