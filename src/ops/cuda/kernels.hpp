#pragma once
// Launchers of the kernels in this folder. Shapes as in ops/ops.hpp; T is float or bf16. All pointers are
// device memory; `stream` is a cudaStream_t. Each returns the cudaError_t of its launches. Sums are made in a
// fixed order: the same bits every time. `scratch` is written and read within the call.
#include <cstddef>
#include <cstdint>

#include "ops/drop.hpp"

struct __nv_bfloat16;

namespace weightscope::ops::cuda {

using bf16 = __nv_bfloat16;
using Index = std::int64_t;

/// LayerNorm and column sums serve rows of a multiple of 8 elements, LayerNorm up to this many.
constexpr Index kWidestNorm = 4096;
constexpr Index kSquareTile = 16384;

template <class T>
int residual_layer_norm(const float* residual, const T* branch, float* s, const float* w, const float* b,
                        T* y, float* mean, float* rstd, Index R, Index C, void* stream);
/// Column sums, each = or +=; null where nobody wants them. ds_sum: of ds, the gradient of what was added to
/// the stream.
struct NormGradients {
  float *dw, *db, *ds_sum;
};
/// Floats of scratch that layer_norm_backward needs.
Index layer_norm_scratch(Index R, Index C);
template <class T>
int layer_norm_backward(const T* dy, const float* s, const float* mean, const float* rstd, const float* w,
                        float* ds, bool add_to_ds, T* ds_work, const NormGradients& out, bool add, Index R,
                        Index C, float* scratch, void* stream);

/// Of causal attention: B, T, H, D, and what q·kᵀ is multiplied by.
struct AttentionSizes {
  Index batch, tokens, heads, width;
  float scale;
};
constexpr Index kWidestHead = 256;  ///< of attention and qk_norm
/// What the current device has the shared memory for: kWidestHead, or 128.
Index widest_head();
template <class T>
int tiled_attention(const T* qkv, T* out, float* lse, const AttentionSizes& s, const Drop& drop,
                    void* stream);
/// delta: B·H·T floats of scratch.
template <class T>
int tiled_attention_backward(const T* dout, const T* qkv, const T* out, const float* lse, T* dqkv,
                             const AttentionSizes& s, const Drop& drop, float* delta, void* stream);

/// Of q and of k, D elements each; no biases: null.
template <class F>
struct QkNormPointers {
  F *gain[2], *bias[2];
};
/// raw: null where nobody wants it.
template <class T>
int qk_norm(T* qkv, T* raw, const QkNormPointers<const float>& norm, Index R, Index H, Index D, void* stream);
/// Floats of scratch that qk_norm_backward needs.
Index qk_norm_scratch(Index R, Index H, Index D);
template <class T>
int qk_norm_backward(T* dqkv, const T* raw, const QkNormPointers<const float>& norm,
                     const QkNormPointers<float>& gradients, bool add, Index R, Index H, Index D,
                     float* scratch, void* stream);

template <class T>
int gelu(const T* x, T* y, Index n, bool erf, void* stream);
template <class T>
int gelu_backward(const T* x, T* dy, Index n, bool erf, void* stream);

Index column_sum_scratch(Index R, Index N);
template <class T>
int column_sum(const T* x, float* sum, bool add, Index R, Index N, float* scratch, void* stream);

/// row_loss: R floats of scratch.
template <class T>
int cross_entropy(T* logits, const Index* targets, float dscale, Index R, Index vocab, Index columns,
                  double* loss_sum, float* row_loss, void* stream);

int embedding(const Index* tokens, const float* wte, const float* wpe, float* x, Index R, Index T, Index C,
              void* stream);
/// Bytes of scratch that embedding_backward needs.
std::size_t embedding_scratch(Index R, Index C);
int embedding_backward(const float* dx, const Index* tokens, float* dwte, float* dwpe, bool add, Index R,
                       Index T, Index C, Index vocab, Index positions, void* scratch, void* stream);

template <class T>
int dropout(T* x, const Drop& drop, Index R, Index C, void* stream);

/// out[0] = Σ x² over tiles of kSquareTile elements; partial: one double a tile.
int sum_of_squares(const float* x, Index n, double* out, double* partial, void* stream);

/// What one update needs to know, in device memory.
struct UpdateInputs {
  float lr, step_size, inverse_root;  ///< step_size = lr / (1 − β1^t), inverse_root = 1 / sqrt(1 − β2^t)
  float clip;                         ///< 0: no clipping
  double tokens;                      ///< of the global batch
};
/// What is known of a step once its gradients are reduced.
struct UpdateOutcome {
  double loss, norm;
  float scale;          ///< of the gradients: clipping
  std::int32_t finite;  ///< 0: the weights stay as they are
};
/// outcome from Σ loss and Σ gradient², both of the global batch.
int prepare_update(const UpdateInputs* in, const double* loss_sum, const double* squares,
                   UpdateOutcome* outcome, void* stream);

/// A piece of the flat buffers inside one parameter.
struct UpdateTile {
  std::int64_t offset;
  std::int32_t count, parameter;
  float weight_decay;
  float step_scale;  ///< of the step, not of the decay
};
constexpr Index kUpdateTile = 8192;
struct AdamWPointers {
  float* w;
  const float* g;
  float *m, *v;  ///< of the shard that begins at element `first`
  bf16* work;    ///< or null
  Index first;
  float beta1, beta2, eps;
};
/// moved: Σ (Δw)² per tile, or null.
int adamw(const AdamWPointers& p, const UpdateTile* tiles, Index count, const UpdateInputs* in,
          const UpdateOutcome* outcome, double* moved, void* stream);
/// sums[parameter] = Σ over its tiles, in order.
int sum_tiles(const UpdateTile* tiles, const double* moved, Index count, double* sums, Index parameters,
              void* stream);

}  // namespace weightscope::ops::cuda
