#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {
namespace {

cpu::AttentionShape shape_of(const at::Tensor& qkv, const Attention& a) {
  const std::int64_t T = qkv.size(0) / a.batch;
  return {a.batch, T, a.heads, qkv.size(1) / (3 * a.heads), static_cast<float>(a.scale), drop_of(a, T)};
}

}  // namespace

bool draws_on_device(const at::Tensor& qkv_R3C, std::int64_t heads) {
  return cuda::serves_heads(qkv_R3C, heads);
}

void attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& a) {
  if (cuda::serves_heads(qkv, a.heads)) return cuda::attention(qkv, out, lse, a);
  if (!has_kernel(qkv)) return reference::attention(qkv, out, lse, a);
  with_kernels(qkv, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.attention(pointer<T>(qkv), pointer<T>(out), pointer<float>(lse), shape_of(qkv, a));
  });
}

void attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                        const at::Tensor& lse, at::Tensor& dqkv, const Attention& a) {
  if (cuda::serves_heads(qkv, a.heads)) return cuda::attention_backward(dout, qkv, out, lse, dqkv, a);
  if (!has_kernel(qkv)) return reference::attention_backward(dout, qkv, out, lse, dqkv, a);
  with_kernels(qkv, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.attention_backward(pointer<T>(dout), pointer<T>(qkv), pointer<T>(out), pointer<float>(lse),
                         pointer<T>(dqkv), shape_of(qkv, a));
  });
}

}  // namespace weightscope::ops
