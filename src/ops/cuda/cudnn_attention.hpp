#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "ops/cuda/matmul.hpp"

namespace weightscope::ops::cuda {

/// Causal attention of bf16 through cuDNN's fused kernels, which read q, k, v inside the fused projection
/// [B·T, 3C] and write gradients there: nothing is copied. Choice::fastest: of cuDNN's plans for a shape,
/// timed at the first call.
class CudnnAttention {
 public:
  struct Shape {
    std::int64_t B, T, H, D;
    double scale = 1;  ///< of the logits, on top of 1/√D
    bool operator==(const Shape&) const = default;
  };
  explicit CudnnAttention(Choice choice);
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;
  ~CudnnAttention();

  /// Whether cuDNN has kernels for it on this GPU: compute capability 8.0 and above, D a multiple of 8 up to
  /// 128 (sdpa_support_surface.h of its frontend).
  static bool serves(std::int64_t D, int capability);
  /// Bytes of workspace for both directions. Choice::repeatable: with dP of all heads, 2·B·H·T² at least.
  std::size_t workspace_bytes(const Shape& shape);
  /// lse: [B, H, T] float.
  void forward(const Shape& shape, const void* qkv, void* out, float* lse, void* workspace, void* stream);
  void backward(const Shape& shape, const void* dout, const void* qkv, const void* out, const float* lse,
                void* dqkv, void* workspace, void* stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope::ops::cuda
