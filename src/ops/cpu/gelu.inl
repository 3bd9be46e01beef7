// GELU (Hendrycks and Gimpel 2016). tanh form: 0.5x(1 + tanh u) = x·sigmoid(2u), u = sqrt(2/π)(x +
// 0.044715x³).
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

constexpr float kRoot2OverPi = 0.797884560802865F, kCubic = 0.044715F, kInverseRoot2 = 0.707106781186548F,
                kInverseRoot2Pi = 0.398942280401433F;

inline float sigmoid(float x) { return 1.0F / (1.0F + exp_of(-x)); }

struct TanhForm {
  static float value(float x) { return x * sigmoid(2 * kRoot2OverPi * (x + kCubic * x * x * x)); }
  static float slope(float x) {
    const float s = sigmoid(2 * kRoot2OverPi * (x + kCubic * x * x * x));
    return s + x * s * (1 - s) * 2 * kRoot2OverPi * (1 + 3 * kCubic * x * x);
  }
};
struct ErfForm {
  static float value(float x) { return 0.5F * x * (1 + erf_of(x * kInverseRoot2)); }
  static float slope(float x) {
    return 0.5F * (1 + erf_of(x * kInverseRoot2)) + x * kInverseRoot2Pi * exp_of(-0.5F * x * x);
  }
};

template <class Form, class T>
void gelu_loop(const T* x, T* y, Index n) {
#pragma omp parallel for simd schedule(static)
  for (Index i = 0; i < n; ++i) store(y + i, Form::value(load(x + i)));
}

template <class T>
void gelu(const T* x, T* y, Index n, bool erf) {
  erf ? gelu_loop<ErfForm>(x, y, n) : gelu_loop<TanhForm>(x, y, n);
}

template <class Form, class T>
void gelu_backward_loop(const T* x, T* dy, float* db, bool add, Index R, Index N) {
  const Lines lines(N);
#pragma omp parallel
  {
    float* line = lines.mine();
#pragma omp for schedule(static)
    for (Index r = 0; r < R; ++r) {
      const T* in = x + r * N;
      T* d = dy + r * N;
#pragma omp simd
      for (Index i = 0; i < N; ++i) {
        const float g = load(d + i) * Form::slope(load(in + i));
        store(d + i, g);
        line[i] += g;
      }
    }
  }
  if (db != nullptr) lines.total(db, 0, N, add);
}

template <class T>
void gelu_backward(const T* x, T* dy, float* db, bool erf, bool add, Index R, Index N) {
  erf ? gelu_backward_loop<ErfForm>(x, dy, db, add, R, N)
      : gelu_backward_loop<TanhForm>(x, dy, db, add, R, N);
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
