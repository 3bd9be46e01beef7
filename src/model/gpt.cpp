#include "model/gpt.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "model/mup.hpp"

// B batch, T tokens, R = B·T, C width, V vocabulary (padded), L layers.
namespace weightscope {

Gpt::Gpt(const ModelConfig& model, const ParamStore& store, std::int64_t rows, Purpose purpose,
         bool recompute)
    : model_(model),
      attention_scale_(mup_attention_scale(model)),
      logit_scale_(mup_logit_scale(model)),
      store_(&store),
      recompute_(recompute),
      whole_(plan_activations(model, store.types(), store.place(), rows, purpose, recompute,
                              store.place().place)),
      gemm_{store.place().place == Place::host ? ops::untuned(store.types().work) : ops::GemmChoice(),
            whole_.half_scratch, whole_.wide_scratch} {
  for (int l = 0; l < model.layers; ++l) blocks_.push_back(block_views("h." + std::to_string(l)));
  ln_f_ = norm_views("ln_f");
  const auto &wte = store.find("wte.weight"), &wpe = store.find("wpe.weight"),
             &head = model.tied ? wte : store.find("lm_head.weight");
  wte_ = ParamStore::view(store.master(), wte), dwte_ = ParamStore::view(store.grad(), wte);
  wpe_ = ParamStore::view(store.master(), wpe), dwpe_ = ParamStore::view(store.grad(), wpe);
  head_ = ParamStore::padded_view(store.work(), head), dhead_ = ParamStore::padded_view(store.grad(), head);
}

Gpt::Linear Gpt::linear_views(const std::string& name) const {
  const auto& w = store_->find(name + ".weight");
  Linear views{ParamStore::view(store_->work(), w), {}, ParamStore::view(store_->grad(), w), {}};
  if (model_.bias) {
    const auto& b = store_->find(name + ".bias");
    views.b = ParamStore::view(store_->work(), b), views.db = ParamStore::view(store_->grad(), b);
  }
  return views;
}

Gpt::Norm Gpt::norm_views(const std::string& name) const {
  const auto& w = store_->find(name + ".weight");
  Norm views{ParamStore::view(store_->master(), w), {}, ParamStore::view(store_->grad(), w), {}};
  if (model_.bias) {
    const auto& b = store_->find(name + ".bias");
    views.b = ParamStore::view(store_->master(), b), views.db = ParamStore::view(store_->grad(), b);
  }
  return views;
}

Gpt::Block Gpt::block_views(const std::string& h) const {
  Block block{
      norm_views(h + ".ln_1"), linear_views(h + ".attn.c_attn"), linear_views(h + ".attn.c_proj"), {}, {},
      norm_views(h + ".ln_2"), linear_views(h + ".mlp.c_fc"),    linear_views(h + ".mlp.c_proj")};
  if (!model_.qk_norm) return block;
  const auto q = norm_views(h + ".attn.q_norm"), k = norm_views(h + ".attn.k_norm");
  block.qk_norm = {q.w, q.b, k.w, k.b}, block.d_qk_norm = {q.dw, q.db, k.dw, k.db};
  return block;
}

ops::MaskOrigin mask_origin_of(const MicroBatch& batch) {
  return {splitmix64(batch.dropout_seed), batch.first_row};
}

ops::Masks Gpt::masks(const MicroBatch& batch, const char* site, int layer) const {
  return {name_key(std::string("dropout.") + site + "." + std::to_string(layer)), mask_origin_of(batch),
          batch.mask_origin};
}

bool Gpt::draws_on_device() const { return ops::draws_on_device(whole_.blocks[0].qkv_R3C, model_.heads); }

void Gpt::drop(at::Tensor& x_RC, const MicroBatch& batch, const char* site, int layer) const {
  if (batch.dropout && model_.dropout > 0)
    ops::dropout(x_RC, model_.dropout, masks(batch, site, layer), batch.T);
}

void Gpt::forward(const MicroBatch& batch) {
  forward_embedding(batch);
  for (int l = 0; l < model_.layers; ++l) forward_block(l, batch);
  forward_output();
}

void Gpt::forward_embedding(const MicroBatch& batch) {
  require(batch.T <= model_.block && batch.batch * batch.T <= whole_.output_RC.size(0), Fault::internal,
          "micro-batch larger than planned");
  if (batch.batch != batch_ || batch.T != T_) {
    batch_ = batch.batch, T_ = batch.T;
    now_ = cut(whole_, batch_, T_);
  }
  auto& input_RC = now_.blocks[0].input_RC;
  ops::embedding(batch.tokens_R, wte_, wpe_, T_, input_RC);
  drop(input_RC, batch, "embedding", -1);
}

void Gpt::forward_block(int layer, const MicroBatch& batch) {
  // The embedding lies where the first block reads its input; later blocks add the previous block's MLP on
  // the way in.
  const auto l = static_cast<std::size_t>(layer);
  if (layer == 0)
    forward_attention(layer, now_.blocks[0].input_RC, at::Tensor(), batch);
  else
    forward_attention(layer, now_.blocks[l - 1].middle_RC, now_.branch_RC, batch);
  forward_mlp(layer);
  ops::linear(now_.blocks[l].gelu_R4C, blocks_[l].mlp_proj.w, blocks_[l].mlp_proj.b, now_.branch_RC, gemm_);
  drop(now_.branch_RC, batch, "mlp", layer);
}

void Gpt::forward_output() {
  ops::residual_layer_norm(now_.blocks.back().middle_RC, now_.branch_RC, now_.output_RC, ln_f_.w, ln_f_.b,
                           now_.ln_f_RC, now_.mean_f_R, now_.rstd_f_R);
  // The logits are linear in it, and it is V/C times smaller than they are.
  if (logit_scale_ != 1) now_.ln_f_RC.mul_(logit_scale_);
}

void Gpt::head_logits(std::int64_t from, std::int64_t count, at::Tensor& logits) const {
  ops::linear(now_.ln_f_RC.narrow(0, from, count), head_, at::Tensor(), logits, gemm_);
}

at::Tensor Gpt::logits() const {
  auto out = at::empty({now_.ln_f_RC.size(0), head_.size(0)}, head_.options());
  head_logits(0, out.size(0), out);
  return out.narrow(1, 0, model_.vocab);
}

void Gpt::evaluate(const MicroBatch& batch) {
  const std::int64_t R = now_.ln_f_RC.size(0), step = now_.logits_RV.size(0);
  for (std::int64_t from = 0; from < R; from += step) {
    const std::int64_t count = std::min(step, R - from);
    auto logits = now_.logits_RV.narrow(0, 0, count);
    head_logits(from, count, logits);
    ops::cross_entropy(logits, batch.targets_R.narrow(0, from, count), model_.vocab, 0.0, whole_.loss_sum);
  }
}

void Gpt::backward_head(const MicroBatch& batch, double dscale, ops::Write write) {
  const std::int64_t R = now_.ln_f_RC.size(0), step = now_.logits_RV.size(0);
  for (std::int64_t from = 0; from < R; from += step) {
    const std::int64_t count = std::min(step, R - from);
    auto logits = now_.logits_RV.narrow(0, 0, count), d_ln_f = now_.d_narrow_RC.narrow(0, from, count);
    head_logits(from, count, logits);
    ops::cross_entropy(logits, batch.targets_R.narrow(0, from, count), model_.vocab, dscale, whole_.loss_sum);
    ops::linear_backward_weight(logits, now_.ln_f_RC.narrow(0, from, count), dhead_,
                                from == 0 ? write : ops::Write::add, gemm_);
    ops::linear_backward_input(logits, head_, d_ln_f, gemm_);
  }
  if (logit_scale_ != 1) now_.d_narrow_RC.mul_(logit_scale_);
  ops::layer_norm_backward(now_.d_narrow_RC, now_.output_RC, now_.mean_f_R, now_.rstd_f_R, ln_f_.w,
                           now_.d_residual_RC, ops::Write::assign, now_.d_branch_RC, ln_f_.dw, ln_f_.db,
                           branch_bias(batch, blocks_.back().mlp_proj), write);
}

void Gpt::backward_embedding(const MicroBatch& batch, ops::Write write) {
  // A tied dwte already holds the head's part; an untied one starts here.
  if (!model_.tied && write == ops::Write::assign) dwte_.zero_();
  drop(now_.d_residual_RC, batch, "embedding", -1);
  ops::embedding_backward(now_.d_residual_RC, batch.tokens_R, T_, dwte_, dwpe_, write);
}

std::int64_t Gpt::final_offset(int layer) const {
  if (layer < 0) return store_->size();
  const int next = layer - 1;  // everything before the first parameter of the block that comes next
  std::int64_t end = store_->size();
  for (const auto& p : store_->parameters())
    if (next >= 0 ? p.layer == next : p.name == "wpe.weight") end = std::min(end, p.offset);
  return end;
}

}  // namespace weightscope
