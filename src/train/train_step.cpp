#include "train/train_step.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "core/fault_point.hpp"
#include "train/device_step.hpp"
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
    : parts_{&config, &host, &gpt, &store, &exchange, &optimizer} {
  if (config.monitor.gradients) meter_ = std::make_unique<UpdateMeter>(parts_);
  if (store.place().place == Place::cuda && !reproducible())
    device_ = std::make_unique<DeviceStep>(parts_, meter_.get());
}
TrainStep::~TrainStep() = default;
TrainStep::TrainStep(TrainStep&&) noexcept = default;

void TrainStep::forward_backward(std::int64_t step, const Batch& batch) {
  auto& exchange = *parts_.exchange;
  exchange.begin_step();
  fault_point("forward", parts_.host->rank(), step);
  for (std::int64_t k = 0; k < parts_.micro_batches(); ++k) {
    auto m = describe_micro_batch(parts_, step, k);
    m.tokens_R = to_device(batch.tokens, k * m.batch, m.batch, m.T, parts_.store->place());
    m.targets_R = to_device(batch.targets, k * m.batch, m.batch, m.T, parts_.store->place());
    run_micro_batch(parts_, m, k);
    damage_gradient(parts_, step);
    exchange.ready(k, parts_.gpt->final_offset(-1));
    exchange.end_micro_batch(k);
    if (reproducible()) keep_loss(k);
  }
  if (fault_point("exchange", parts_.host->rank(), step))
    at::Tensor(parts_.gpt->loss_sum()).fill_(std::numeric_limits<double>::quiet_NaN());
  exchange.finish();
}

bool TrainStep::reproducible() const { return parts_.config->parallel.reduction == Reduction::reproducible; }

void TrainStep::keep_loss(std::int64_t k) {
  const auto& loss = parts_.gpt->loss_sum();
  losses_[static_cast<std::size_t>(parts_.host->rank() * parts_.micro_batches() + k)] = loss.item<double>();
  at::Tensor(loss).zero_();
}

double TrainStep::summed_loss() {
  if (!reproducible()) return parts_.host->sum(parts_.gpt->loss_sum().item<double>());
  // Each micro-batch has a place of its own, zero on all ranks but one; added up in order, the bits do not
  // depend on ranks.
  parts_.host->sum(std::span(losses_));
  return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

void TrainStep::begin(std::int64_t step, const Batch& batch, bool measure_movement) {
  if (device_) return device_->begin(step, batch, measure_movement);
  const auto& config = *parts_.config;
  at::Tensor(parts_.gpt->loss_sum()).zero_();
  losses_.assign(static_cast<std::size_t>(config.train.global_batch / config.train.micro_batch), 0.0);
  if (meter_ && measure_movement) meter_->keep_weights();  // now: others may be updating after the exchange
  forward_backward(step, batch);

  auto& exchange = *parts_.exchange;
  result_ = {};
  result_.loss = summed_loss() / parts_.global_tokens();
  result_.grad_norm = exchange.gradient_norm();
  result_.lr = learning_rate(config, step);
  if (!std::isfinite(result_.loss) || !std::isfinite(result_.grad_norm)) return;
  const double clip = config.train.grad_clip,
               scale = clip > 0 ? std::min(1.0, clip / (result_.grad_norm + 1e-6)) : 1.0;
  result_.moved = parts_.optimizer->update(step + 1, result_.lr, scale, exchange.reduced(), measure_movement);
  if (measure_movement) exchange.sum_over_shards(result_.moved);
  exchange.share_updated_weights();
  if (meter_ && measure_movement) result_.record = meter_->measure(step + 1, result_.lr);
}

StepResult TrainStep::end(std::int64_t step) { return device_ ? device_->end(step) : result_; }

}  // namespace weightscope
