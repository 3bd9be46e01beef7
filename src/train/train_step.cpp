#include "train/train_step.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "core/fault_point.hpp"
#include "core/hash.hpp"
#include "train/schedule.hpp"

namespace weightscope {

at::Tensor to_device(const std::vector<std::int64_t>& tokens, std::int64_t first_row, std::int64_t rows,
                     std::int64_t T, DevicePlace place) {
  auto* data = const_cast<std::int64_t*>(tokens.data()) + first_row * T;
  const auto host = at::from_blob(data, {rows * T}, at::TensorOptions().dtype(at::kLong));
  return place.place == Place::cuda ? host.to(place.options(at::kLong)) : host;
}

TrainStep::TrainStep(const RunConfig& config, const HostComm& host, Gpt& gpt, const ParamStore& store,
                     GradientExchange& exchange, Optimizer& optimizer)
    : config_(&config),
      host_(&host),
      gpt_(&gpt),
      store_(&store),
      exchange_(&exchange),
      optimizer_(&optimizer) {}

MicroBatch TrainStep::micro_batch(std::int64_t step, const Batch& batch, std::int64_t k) const {
  const std::int64_t B = config_->train.micro_batch, T = config_->model.block,
                     local = config_->train.global_batch / host_->size();
  MicroBatch m;
  m.tokens_R = to_device(batch.tokens, k * B, B, T, store_->place());
  m.targets_R = to_device(batch.targets, k * B, B, T, store_->place());
  m.batch = B, m.T = T;
  m.first_row = host_->rank() * local + k * B;
  m.dropout_seed = splitmix64(config_->seed) + static_cast<std::uint64_t>(step);
  m.dropout = config_->model.dropout > 0;
  return m;
}

void TrainStep::forward_backward(std::int64_t step, const Batch& batch) {
  const std::int64_t micro_batches = config_->train.global_batch / host_->size() / config_->train.micro_batch;
  const double weight = exchange_->token_weight(config_->train.global_batch * config_->model.block);
  exchange_->begin_step();
  fault_point("forward", host_->rank(), step);
  for (std::int64_t k = 0; k < micro_batches; ++k) {
    const auto m = micro_batch(step, batch, k);
    const auto write = exchange_->accumulates(k) ? ops::Write::add : ops::Write::assign;
    gpt_->forward(m);
    gpt_->backward_head(m, weight, write);
    exchange_->ready(k, gpt_->final_offset(config_->model.layers));
    for (int layer = config_->model.layers - 1; layer >= 0; --layer) {
      gpt_->backward_block(layer, m, write);
      exchange_->ready(k, gpt_->final_offset(layer));
    }
    gpt_->backward_embedding(m, write);
    if (fault_point("gradient", host_->rank(), step))
      ParamStore::view(store_->grad(), store_->find("wte.weight"))
          .flatten()
          .narrow(0, 7, 1)
          .fill_(std::numeric_limits<double>::infinity());
    exchange_->ready(k, gpt_->final_offset(-1));
    exchange_->end_micro_batch(k);
    if (reproducible()) keep_loss(k);
  }
  if (fault_point("exchange", host_->rank(), step))
    at::Tensor(gpt_->loss_sum()).fill_(std::numeric_limits<double>::quiet_NaN());
  exchange_->finish();
}

bool TrainStep::reproducible() const { return config_->parallel.reduction == Reduction::reproducible; }

void TrainStep::keep_loss(std::int64_t k) {
  const auto per_rank = config_->train.global_batch / host_->size() / config_->train.micro_batch;
  losses_[static_cast<std::size_t>(host_->rank() * per_rank + k)] = gpt_->loss_sum().item<double>();
  at::Tensor(gpt_->loss_sum()).zero_();
}

double TrainStep::summed_loss() {
  if (!reproducible()) return host_->sum(gpt_->loss_sum().item<double>());
  // Each micro-batch has a place of its own, zero on all ranks but one; added up in order, the bits do not
  // depend on ranks.
  host_->sum(std::span(losses_));
  return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

StepResult TrainStep::run(std::int64_t step, const Batch& batch, bool measure_movement) {
  at::Tensor(gpt_->loss_sum()).zero_();
  losses_.assign(static_cast<std::size_t>(config_->train.global_batch / config_->train.micro_batch), 0.0);
  forward_backward(step, batch);

  StepResult result;
  const auto tokens = static_cast<double>(config_->train.global_batch * config_->model.block);
  result.loss = summed_loss() / tokens;
  result.grad_norm = exchange_->gradient_norm();
  result.lr = learning_rate(*config_, step);
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) return result;
  const double clip = config_->train.grad_clip,
               scale = clip > 0 ? std::min(1.0, clip / (result.grad_norm + 1e-6)) : 1.0;
  result.moved = optimizer_->update(step + 1, result.lr, scale, exchange_->reduced(), measure_movement);
  if (measure_movement) exchange_->sum_over_shards(result.moved);
  exchange_->share_updated_weights();
  return result;
}

}  // namespace weightscope
