#include "train/device_step.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "core/fault_point.hpp"
#include "train/recording.hpp"
#include "train/schedule.hpp"

namespace weightscope {
namespace {

constexpr int kEagerSteps = 2;

std::vector<ops::FlatPart> flat_parts(const TrainParts& parts) {
  std::vector<ops::FlatPart> flat;
  for (const auto& p : parts.store->parameters())
    flat.push_back(
        {p.offset, p.offset + p.storage, p.decays() ? parts.config->optimizer.weight_decay : 0, p.lr_scale});
  return flat;
}

ops::DeviceUpdate::Settings settings_of(const TrainParts& parts) {
  const auto& o = parts.config->optimizer;
  return {o.beta1, o.beta2, o.eps, parts.config->train.grad_clip, parts.global_tokens()};
}

constexpr std::int64_t kOriginWords = sizeof(ops::MaskOrigin) / sizeof(std::int64_t);

}  // namespace

template <class F>
void DeviceStep::run_through(StepGraph& part, bool may_record, F&& f) {
  if (!may_record || steps_ < kEagerSteps || parts_.config->train.cuda_graphs == Graphs::off) return f();
  auto& exchange = *parts_.exchange;
  if (!part.graph.ready()) part.collectives = record(part.graph, exchange, f);
  part.graph.replay();
  exchange.replayed(part.collectives);
}

DeviceStep::DeviceStep(const TrainParts& parts, UpdateMeter* meter)
    : parts_(parts),
      meter_(meter),
      update_(flat_parts(parts), parts.optimizer->shard().begin, parts.optimizer->shard().end,
              settings_of(parts), parts.store->master()) {
  const std::int64_t words = 2 * micro_tokens() + kOriginWords;
  const auto options = parts.store->place().options(at::kLong);
  for (auto& s : staging_)
    s = {at::empty({parts.micro_batches(), words}, at::TensorOptions().dtype(at::kLong).pinned_memory(true)),
         at::empty({parts.micro_batches(), words}, options)};
  inputs_ = at::zeros({words}, options);
}

std::int64_t DeviceStep::micro_tokens() const {
  return parts_.config->train.micro_batch * parts_.config->model.block;
}

void DeviceStep::upload(std::int64_t step, const Batch& batch) {
  auto& slot = staging_[static_cast<std::size_t>(step % 2)];
  const std::int64_t n = micro_tokens();
  for (std::int64_t k = 0; k < parts_.micro_batches(); ++k) {
    auto* to = slot.host[k].data_ptr<std::int64_t>();
    std::copy_n(batch.tokens.begin() + k * n, n, to);
    std::copy_n(batch.targets.begin() + k * n, n, to + n);
    const auto origin = mask_origin_of(describe_micro_batch(parts_, step, k));
    std::memcpy(to + 2 * n, &origin, sizeof(origin));
  }
  copies_.copy(slot.device, slot.host);
  copies_.join();
}

void DeviceStep::hand_over(std::int64_t step, std::int64_t k) {
  if (is_last(k)) damage_gradient(parts_, step);
  parts_.exchange->ready(k, parts_.gpt->final_offset(-1));
  parts_.exchange->end_micro_batch(k);
  if (is_last(k)) parts_.exchange->finish();
}

void DeviceStep::micro_step(std::int64_t step, std::int64_t k) {
  auto m = describe_micro_batch(parts_, step, k);
  inputs_.copy_(staging_[static_cast<std::size_t>(step % 2)].device[k]);
  const std::int64_t n = micro_tokens();
  m.tokens_R = inputs_.narrow(0, 0, n), m.targets_R = inputs_.narrow(0, n, n);
  m.mask_origin = reinterpret_cast<const ops::MaskOrigin*>(inputs_.data_ptr<std::int64_t>() + 2 * n);
  const bool meets_others = parts_.host->size() > 1 && is_last(k);
  const bool waits = parts_.exchange->weights_under_way();
  const bool same_each_step = !m.dropout || parts_.gpt->draws_on_device();
  const bool recordable = !meets_others || parts_.config->train.cuda_graphs == Graphs::all;
  run_through(!parts_.exchange->accumulates(k) ? first_
              : meets_others                   ? last_
                                               : further_,
              recordable && same_each_step && !waits, [&] {
                run_micro_batch(parts_, m, k);
                if (meets_others) hand_over(step, k);
              });
  if (!meets_others) hand_over(step, k);
}

void DeviceStep::apply(bool measure_movement) {
  const auto& store = *parts_.store;
  const auto squares = parts_.exchange->squares();
  update_.run(store.master(), parts_.exchange->reduced(), parts_.optimizer->exp_avg(),
              parts_.optimizer->exp_avg_sq(), store.work(), parts_.gpt->loss_sum(), squares,
              measure_movement);
}

void DeviceStep::begin(std::int64_t step, const Batch& batch, bool measure_movement) {
  fault_point("forward", parts_.host->rank(), step);
  const bool measures_update = meter_ != nullptr && measure_movement;
  if (measures_update) meter_->keep_weights();
  at::Tensor loss(parts_.gpt->loss_sum());
  loss.zero_();
  upload(step, batch);
  update_.set(step + 1, learning_rate(*parts_.config, step));
  parts_.exchange->begin_step();
  for (std::int64_t k = 0; k < parts_.micro_batches(); ++k) micro_step(step, k);
  if (fault_point("exchange", parts_.host->rank(), step))
    loss.fill_(std::numeric_limits<double>::quiet_NaN());
  parts_.exchange->sum_over_ranks(loss);
  const bool alone = parts_.host->size() == 1 || !parts_.exchange->shards();
  run_through(update_graph_, alone && !measure_movement, [&] { apply(measure_movement); });
  parts_.exchange->share_updated_weights();
  update_.send_back(step + 1, measure_movement);
  auto& record = records_[static_cast<std::size_t>(step % 2)];
  record = measures_update ? meter_->measure(step + 1, learning_rate(*parts_.config, step)) : UpdateRecord{};
  ++steps_;
}

StepResult DeviceStep::end(std::int64_t step) {
  auto outcome = update_.outcome(step + 1);
  StepResult result{
      outcome.loss, outcome.grad_norm, learning_rate(*parts_.config, step), std::move(outcome.moved), {}};
  if (std::isfinite(result.loss) && std::isfinite(result.grad_norm))  // otherwise nothing was updated
    result.record = std::move(records_[static_cast<std::size_t>(step % 2)]);
  else
    result.moved.clear();
  if (!result.moved.empty()) parts_.exchange->sum_over_shards(result.moved);
  return result;
}

}  // namespace weightscope
