#pragma once
// The table of CPU kernels: raw pointers, row-major, no LibTorch. cpu/kernels_ISA.cpp compiles
// cpu/kernels.inl once for each instruction set; kernels() picks the best that this machine has.
#include <cstdint>

#include "ops/drop.hpp"

namespace weightscope::cpu {

using Index = std::int64_t;
struct bf16 {
  std::uint16_t bits;
};

struct AttentionShape {
  Index batch, tokens, heads, width;  ///< B, T, H, and the width of a head: D = C / H
  float scale = 1;                    ///< of the logits, on top of 1/√D
  ops::Drop drop{};                   ///< row (b·H + h)·T + i for query i
};

/// Gains and biases [D] of the norms of q and k, and where their gradients go; no biases: null.
struct QkNormWeights {
  const float *gain[2], *bias[2];
};
struct QkNormGradients {
  float *gain[2], *bias[2];
};

/// Kernels whose activations are T (float or bf16). Null pointers stand for absent operands.
template <class T>
struct Typed {
  void (*residual_layer_norm)(const float* residual, const T* branch, float* s, const float* w,
                              const float* b, T* y, float* mean, float* rstd, Index R, Index C);
  void (*layer_norm_backward)(const T* dy, const float* s, const float* mean, const float* rstd,
                              const float* w, float* ds, bool onto, T* ds_work, float* dw, float* db,
                              bool add, Index R, Index C);
  void (*qk_norm)(T* qkv, T* raw, const QkNormWeights& norm, Index R, Index H, Index D);
  void (*qk_norm_backward)(T* dqkv, const T* raw, const QkNormWeights& norm, const QkNormGradients& gradients,
                           bool add, Index R, Index H, Index D);
  void (*gelu)(const T* x, T* y, Index n, bool erf);
  void (*gelu_backward)(const T* x, T* dy, float* db, bool erf, bool add, Index R, Index N);
  void (*column_sum)(const T* x, float* out, bool add, Index R, Index N);
  void (*add_to)(const T* x, float* out, bool add, Index n);
  double (*cross_entropy)(T* logits, const Index* targets, float dscale, Index R, Index V, Index stride);
  void (*dropout)(T* x, const ops::Drop& drop, Index R, Index C);
  /// Causal; lse is log Σ exp of each row's scores. The same bits for any number of threads.
  void (*attention)(const T* qkv, T* out, float* lse, const AttentionShape& shape);
  void (*attention_backward)(const T* dout, const T* qkv, const T* out, const float* lse, T* dqkv,
                             const AttentionShape& shape);
};

struct AdamWScalars {
  float keep, step_size, beta1, beta2, eps, inverse_root2, grad_scale;
};

struct Kernels {
  const char* isa;
  Typed<float> f32;
  Typed<bf16> b16;
  void (*embedding)(const Index* tokens, const float* wte, const float* wpe, float* x, Index R, Index T,
                    Index C);
  void (*embedding_backward)(const float* dx, const Index* tokens, float* dwte, float* dwpe, bool add,
                             Index R, Index T, Index C, Index positions);
  double (*sum_of_squares)(const float* x, Index n);
  Index (*squares_of_blocks)(const float* x, Index n, double* squares);
  void (*sum_parts)(const float* const* parts, Index count, float* out, double* squares, Index n);
  double (*adamw)(float* w, const float* g, float* m, float* v, bf16* copy, Index n, const AdamWScalars& h,
                  bool measure);
};

const Kernels& kernels();          ///< the best for this machine
const Kernels& kernels_generic();  ///< x86-64 baseline
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();
const Kernels& kernels_avx512bf16();  ///< kernels_avx512() with native bf16 products

}  // namespace weightscope::cpu
