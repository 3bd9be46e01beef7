#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {
namespace {

cpu::QkNormWeights weights_of(const QkNorm& n) {
  return {{pointer<float>(n.q_w_D), pointer<float>(n.k_w_D)},
          {pointer<float>(n.q_b_D), pointer<float>(n.k_b_D)}};
}

cpu::QkNormGradients gradients_of(const QkNorm& n) {
  return {{pointer<float>(n.q_w_D), pointer<float>(n.k_w_D)},
          {pointer<float>(n.q_b_D), pointer<float>(n.k_b_D)}};
}

}  // namespace

void qk_norm(at::Tensor& qkv_R3C, at::Tensor& raw_R2C, const QkNorm& norm, std::int64_t heads) {
  if (cuda::serves_heads(qkv_R3C, heads)) return cuda::qk_norm(qkv_R3C, raw_R2C, norm, heads);
  if (!has_kernel(qkv_R3C)) return reference::qk_norm(qkv_R3C, raw_R2C, norm, heads);
  with_kernels(qkv_R3C, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.qk_norm(pointer<T>(qkv_R3C), pointer<T>(raw_R2C), weights_of(norm), qkv_R3C.size(0), heads,
              norm.q_w_D.size(0));
  });
}

void qk_norm_backward(at::Tensor& dqkv_R3C, const at::Tensor& raw_R2C, const QkNorm& norm,
                      const QkNorm& gradients, std::int64_t heads, Write write) {
  if (cuda::serves_heads(dqkv_R3C, heads))
    return cuda::qk_norm_backward(dqkv_R3C, raw_R2C, norm, gradients, heads, write);
  if (!has_kernel(dqkv_R3C))
    return reference::qk_norm_backward(dqkv_R3C, raw_R2C, norm, gradients, heads, write);
  with_kernels(dqkv_R3C, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.qk_norm_backward(pointer<T>(dqkv_R3C), pointer<T>(raw_R2C), weights_of(norm), gradients_of(gradients),
                       write == Write::add, dqkv_R3C.size(0), heads, norm.q_w_D.size(0));
  });
}

}  // namespace weightscope::ops
