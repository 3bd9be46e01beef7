#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {
namespace {

/// q, k and v as [B, H, T, D] views of the fused projection: nothing is copied.
std::array<at::Tensor, 3> heads_of(const at::Tensor& qkv, const Attention& a) {
  const std::int64_t T = qkv.size(0) / a.batch, D = qkv.size(1) / (3 * a.heads);
  const auto parts = qkv.view({a.batch, T, 3, a.heads, D}).permute({2, 0, 3, 1, 4}).unbind(0);
  return {parts[0], parts[1], parts[2]};
}

at::Tensor merged(const at::Tensor& out, const Attention& a) {  // [B·T, C] as [B, H, T, D]
  const std::int64_t T = out.size(0) / a.batch;
  return out.view({a.batch, T, a.heads, out.size(1) / a.heads}).transpose(1, 2);
}

bool flash_serves(const at::Tensor& qkv, const Attention& a) { return has_kernel(qkv) && a.dropout == 0; }

}  // namespace

void attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& a) {
  if (!flash_serves(qkv, a)) return reference::attention(qkv, out, lse, a);
  const auto [q, k, v] = heads_of(qkv, a);
  const auto [o, row_lse] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, true);
  merged(out, a).copy_(o);
  lse.copy_(row_lse);
}

void attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                        const at::Tensor& lse, at::Tensor& dqkv, const Attention& a) {
  if (!flash_serves(qkv, a)) return reference::attention_backward(dout, qkv, out, lse, dqkv, a);
  const auto [q, k, v] = heads_of(qkv, a);
  const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      merged(dout, a), q, k, v, merged(out, a), lse, 0.0, true);
  auto to = heads_of(dqkv, a);
  to[0].copy_(dq);
  to[1].copy_(dk);
  to[2].copy_(dv);
}

}  // namespace weightscope::ops
