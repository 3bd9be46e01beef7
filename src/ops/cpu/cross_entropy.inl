// Softmax, cross-entropy and its gradient in place of the logits. Row sums in double: a vocabulary is long.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

template <class T>
double cross_entropy_row(T* z, Index target, float dscale, Index V, Index stride) {
  float top = -3.4e38F;
#pragma omp simd reduction(max : top)
  for (Index i = 0; i < V; ++i) top = maximum(top, load(z + i));
  double sum = 0;
  for (Index from = 0; from < V; from += 4096) {
    const Index to = from + 4096 < V ? from + 4096 : V;
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (Index i = from; i < to; ++i) part += exp_of(load(z + i) - top);
    sum += static_cast<double>(part);
  }
  const double lse = static_cast<double>(top) + __builtin_log(sum),
               loss = lse - static_cast<double>(load(z + target));
  if (dscale == 0.0F) return loss;
  const float inverse = dscale / static_cast<float>(sum),
              hit = exp_of(load(z + target) - top) * inverse - dscale;
#pragma omp simd
  for (Index i = 0; i < V; ++i) store(z + i, exp_of(load(z + i) - top) * inverse);
  store(z + target, hit);
  for (Index i = V; i < stride; ++i) store(z + i, 0.0F);
  return loss;
}

template <class T>
double cross_entropy(T* logits, const Index* targets, float dscale, Index R, Index V, Index stride) {
  double* losses = static_cast<double*>(__builtin_malloc(static_cast<std::size_t>(R) * sizeof(double)));
#pragma omp parallel for schedule(static)
  for (Index r = 0; r < R; ++r)
    losses[r] = cross_entropy_row(logits + r * stride, targets[r], dscale, V, stride);
  double total = 0;
  for (Index r = 0; r < R; ++r) total += losses[r];
  __builtin_free(losses);
  return total;
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
