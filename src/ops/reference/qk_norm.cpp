#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {
namespace {

/// Part 0 (q) or 1 (k) of a [R, parts·C] tensor by head: a view [R, H, D].
at::Tensor heads_of(const at::Tensor& x, std::int64_t part, std::int64_t parts, std::int64_t heads) {
  const std::int64_t C = x.size(1) / parts;
  return x.narrow(1, part * C, C).view({x.size(0), heads, C / heads});
}

/// n = (x − mean) / sqrt(var + eps) over the last dimension, and the reciprocal of that root.
std::pair<at::Tensor, at::Tensor> normalized(const at::Tensor& x) {
  const auto rstd = 1 / (x.var(2, /*unbiased=*/false, /*keepdim=*/true) + 1e-5).sqrt();
  return {(x - x.mean(2, true)) * rstd, rstd};
}

}  // namespace

void qk_norm(at::Tensor& qkv_R3C, at::Tensor& raw_R2C, const QkNorm& norm, std::int64_t heads) {
  if (raw_R2C.defined()) raw_R2C.copy_(qkv_R3C.narrow(1, 0, raw_R2C.size(1)));
  for (const std::int64_t part : {0, 1}) {
    const auto &w = part == 0 ? norm.q_w_D : norm.k_w_D, &b = part == 0 ? norm.q_b_D : norm.k_b_D;
    auto x = heads_of(qkv_R3C, part, 3, heads);
    const auto y = normalized(x.to(w.scalar_type())).first * w;
    x.copy_(b.defined() ? y + b : y);
  }
}

void qk_norm_backward(at::Tensor& dqkv_R3C, const at::Tensor& raw_R2C, const QkNorm& norm,
                      const QkNorm& gradients, std::int64_t heads, Write write) {
  for (const std::int64_t part : {0, 1}) {
    const auto& w = part == 0 ? norm.q_w_D : norm.k_w_D;
    const auto &dw = part == 0 ? gradients.q_w_D : gradients.k_w_D,
               &db = part == 0 ? gradients.q_b_D : gradients.k_b_D;
    auto dx = heads_of(dqkv_R3C, part, 3, heads);
    const auto dy = dx.to(w.scalar_type()), d = dy * w;
    const auto [n, rstd] = normalized(heads_of(raw_R2C, part, 2, heads).to(w.scalar_type()));
    write_to(dw, (dy * n).sum(at::IntArrayRef{0, 1}), write == Write::add);
    if (db.defined()) write_to(db, dy.sum(at::IntArrayRef{0, 1}), write == Write::add);
    dx.copy_((d - d.mean(2, true) - n * (d * n).mean(2, true)) * rstd);
  }
}

}  // namespace weightscope::ops::reference
