#include <cmath>

#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {
namespace {

at::Tensor split(const at::Tensor& x, std::int64_t part, std::int64_t parts,
                 const Attention& a) {  // [B, H, T, D]
  const std::int64_t T = x.size(0) / a.batch, D = x.size(1) / (parts * a.heads);
  return x.view({a.batch, T, parts, a.heads, D}).select(2, part).transpose(1, 2);
}

/// What q·kᵀ is divided by: √D, over a.scale.
double divisor(const at::Tensor& q, const Attention& a) {
  return std::sqrt(static_cast<double>(q.size(3))) / a.scale;
}

/// softmax(q·kᵀ / divisor) over the past, [B, H, T, T], in the full precision (f32 for bf16 inputs).
at::Tensor probabilities(const at::Tensor& q, const at::Tensor& k, const Attention& a, at::Tensor* lse) {
  const auto type = q.scalar_type() == at::kBFloat16 ? at::kFloat : q.scalar_type();
  auto scores = at::matmul(q.to(type), k.to(type).transpose(2, 3)) / divisor(q, a);
  const auto future = at::ones({q.size(2), q.size(2)}, q.options().dtype(at::kBool)).triu(1);
  scores = scores.masked_fill(future, -INFINITY);
  if (lse != nullptr) lse->copy_(at::logsumexp(scores, 3));
  return at::softmax(scores, 3);
}

/// The mask of dropped weights, already divided by 1 − p. Row (b, h, i) of the stream: ((first + b)·H +
/// h)·T + i, first the global index of the first sample.
at::Tensor mask(const Attention& a, const at::Tensor& p_BHTT) {
  auto ones = at::ones({a.batch * a.heads * p_BHTT.size(2), p_BHTT.size(3)}, at::dtype(p_BHTT.scalar_type()));
  ops::dropout(ones, a.dropout, a.masks, a.heads * p_BHTT.size(2));
  return ones.to(p_BHTT.device()).view(p_BHTT.sizes());
}

}  // namespace

void attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& a) {
  auto p = probabilities(split(qkv, 0, 3, a), split(qkv, 1, 3, a), a, &lse);
  if (a.dropout > 0) p = p * mask(a, p);
  split(out, 0, 1, a).copy_(at::matmul(p, split(qkv, 2, 3, a).to(p.scalar_type())));
}

void attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                        const at::Tensor& lse, at::Tensor& dqkv, const Attention& a) {
  (void)out, (void)lse;  // the probabilities are computed again: simple and exact
  const auto q = split(qkv, 0, 3, a), k = split(qkv, 1, 3, a);
  const auto p = probabilities(q, k, a, nullptr), keep = a.dropout > 0 ? mask(a, p) : at::Tensor();
  const auto type = p.scalar_type();
  const auto d = split(dout, 0, 1, a).to(type), v = split(qkv, 2, 3, a).to(type);
  auto dp = at::matmul(d, v.transpose(2, 3));
  if (keep.defined()) dp = dp * keep;
  const auto ds = p * (dp - (dp * p).sum(3, true)) / divisor(q, a);
  split(dqkv, 0, 3, a).copy_(at::matmul(ds, k.to(type)));
  split(dqkv, 1, 3, a).copy_(at::matmul(ds.transpose(2, 3), q.to(type)));
  split(dqkv, 2, 3, a).copy_(at::matmul((keep.defined() ? p * keep : p).transpose(2, 3), d));
}

}  // namespace weightscope::ops::reference
