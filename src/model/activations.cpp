#include "model/activations.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/gemm.hpp"

namespace weightscope {
namespace {

constexpr std::int64_t kLogitBytes = std::int64_t{256} << 20, kLogitBytesOnGpu = std::int64_t{2} << 30;
constexpr std::int64_t kLogitRowsUnit = 128;  // a tile of a GPU's products
constexpr std::int64_t kScratchRows =
    2048;  // of a bf16 weight gradient: large enough for the GEMM, small enough for the cache

at::Tensor first_rows(const at::Tensor& t, std::int64_t rows) {
  return t.defined() && t.numel() > 0 ? t.narrow(0, 0, rows) : t;
}

}  // namespace

std::int64_t logit_rows(const ModelConfig& model, Types types, Place place, std::int64_t rows) {
  const auto row_bytes = padded_vocab(model.vocab) * static_cast<std::int64_t>(c10::elementSize(types.work));
  if (place != Place::cuda) return std::clamp<std::int64_t>(kLogitBytes / row_bytes, 1, rows);
  const std::int64_t most = std::max<std::int64_t>(kLogitRowsUnit, kLogitBytesOnGpu / row_bytes),
                     parts = (rows + most - 1) / most, even = (rows + parts - 1) / parts;
  return std::min(rows, (even + kLogitRowsUnit - 1) / kLogitRowsUnit * kLogitRowsUnit);
}

Activations plan_activations(const ModelConfig& m, Types types, DevicePlace place, std::int64_t R,
                             Purpose purpose, bool recompute, Place meant) {
  const std::int64_t C = m.width, hidden = std::int64_t{m.mlp_ratio} * C;
  const auto work = [&](std::int64_t columns) { return at::empty({R, columns}, place.options(types.work)); };
  const auto full = [&](std::int64_t columns) { return at::empty({R, columns}, place.options(types.full)); };
  const auto line = [&] { return at::empty({R}, place.options(types.full)); };
  const bool training = purpose == Purpose::training, shared = recompute || !training;

  Activations a;
  for (int l = 0; l < m.layers; ++l) {
    BlockActivations b;
    if (shared && l > 0) {
      b = a.blocks[0];
      if (training) b.input_RC = full(C);
    } else {
      b = {full(C),
           work(C),
           line(),
           line(),
           work(3 * C),
           work(C),
           at::empty({R * m.heads}, place.options(types.full)),
           full(C),
           work(C),
           line(),
           line(),
           work(hidden),
           work(hidden),
           m.qk_norm && training ? work(2 * C) : at::Tensor()};
    }
    a.blocks.push_back(b);
  }
  a.output_RC = full(C), a.ln_f_RC = work(C), a.mean_f_R = line(), a.rstd_f_R = line();
  a.branch_RC = work(C);
  a.logits_RV = at::empty({logit_rows(m, types, meant, R), padded_vocab(m.vocab)}, place.options(types.work));
  a.loss_sum = at::zeros({1}, place.options(at::kDouble));
  if (types.mixed() && meant != Place::cuda)
    a.wide_scratch = at::empty({ops::wide_scratch_size(std::max(hidden, 3 * C))}, place.options(at::kFloat));
  if (!training) return a;
  a.d_residual_RC = full(C);
  a.d_branch_RC = types.mixed() || m.dropout > 0 ? work(C) : a.d_residual_RC;
  a.d_narrow_RC = work(C);
  a.d_wide_R4C = work(std::max(hidden, 3 * C));
  if (types.mixed())
    a.half_scratch = at::empty({std::min(kScratchRows, std::max(hidden, 3 * C)) * std::max(C, hidden / 4)},
                               place.options(types.work));
  return a;
}

Activations cut(const Activations& whole, std::int64_t batch, std::int64_t T) {
  const std::int64_t R = batch * T;
  Activations a = whole;
  for (auto& b : a.blocks) {
    for (auto* t :
         {&b.input_RC, &b.ln_1_RC, &b.mean_1_R, &b.rstd_1_R, &b.qkv_R3C, &b.attention_RC, &b.middle_RC,
          &b.ln_2_RC, &b.mean_2_R, &b.rstd_2_R, &b.hidden_R4C, &b.gelu_R4C, &b.raw_R2C})
      *t = first_rows(*t, R);
    const std::int64_t heads = b.lse_BHT.numel() / whole.output_RC.size(0);
    b.lse_BHT = b.lse_BHT.narrow(0, 0, R * heads).view({batch, heads, T});
  }
  for (auto* t : {&a.output_RC, &a.ln_f_RC, &a.mean_f_R, &a.rstd_f_R, &a.branch_RC, &a.d_residual_RC,
                  &a.d_narrow_RC, &a.d_wide_R4C})
    *t = first_rows(*t, R);
  a.d_branch_RC =
      whole.d_branch_RC.is_same(whole.d_residual_RC) ? a.d_residual_RC : first_rows(a.d_branch_RC, R);
  return a;
}

}  // namespace weightscope
