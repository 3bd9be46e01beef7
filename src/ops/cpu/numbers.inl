// Scalars that the compiler vectorizes: conversions and exp, erf without branches or library calls.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

inline float load(const float* p) { return *p; }
inline float load(const bf16* p) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(p->bits) << 16);
}
inline void store(float* p, float x) { *p = x; }
/// Round to nearest even; a NaN stays a NaN.
inline void store(bf16* p, float x) {
  const std::uint32_t u = __builtin_bit_cast(std::uint32_t, x), rounded = u + 0x7fffU + ((u >> 16) & 1U);
  p->bits = static_cast<std::uint16_t>(((u & 0x7fffffffU) > 0x7f800000U ? u | 0x400000U : rounded) >> 16);
}

inline float minimum(float a, float b) { return a < b ? a : b; }
inline float maximum(float a, float b) { return a > b ? a : b; }

/// e^x to about 1 ulp: x = n ln 2 + r, a polynomial for e^r (Cephes expf), 2^n through the exponent bits. 0
/// below −87.3. A NaN stays one: minimum and maximum give their second argument where one is a NaN.
inline float exp_of(float x) {
  const float bounded = minimum(88.3F, maximum(-87.3F, x));
  const float n = (bounded * 1.44269504088896341F + 12582912.0F) - 12582912.0F;
  const float r = (bounded - n * 0.693359375F) - n * -2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const float power = __builtin_bit_cast(float, (static_cast<std::int32_t>(n) + 127) << 23);
  return x < -87.3F ? 0.0F : p * power;
}

/// erf(x) to about 2 ulp: minimax polynomials on |x| < 0.93, and 1 − e^p(|x|) beyond.
inline float erf_of(float x) {
  const float t = x < 0 ? -x : x, s = x * x;
  float far = -1.72853470e-5F * t + 3.83197126e-4F;
  const float u = -3.88396438e-3F * t + 2.42546219e-2F;
  far = far * s + u;
  far = far * t - 1.06777877e-1F;
  far = far * t - 6.34846687e-1F;
  far = far * t - 1.28717512e-1F;
  far = far * t - t;
  far = 1.0F - exp_of(far);
  float near = -5.96761703e-4F;
  near = near * s + 4.99119423e-3F;
  near = near * s - 2.67681349e-2F;
  near = near * s + 1.12819925e-1F;
  near = near * s - 3.76125336e-1F;
  near = near * s + 1.28379166e-1F;
  near = near * x + x;
  return t > 0.927734375F ? (x < 0 ? -far : far) : near;
}

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
