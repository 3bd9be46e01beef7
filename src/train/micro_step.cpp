#include "train/micro_step.hpp"

#include <ATen/ATen.h>

#include <limits>

#include "core/fault_point.hpp"
#include "core/hash.hpp"

namespace weightscope {

MicroBatch describe_micro_batch(const TrainParts& parts, std::int64_t step, std::int64_t k) {
  const auto& config = *parts.config;
  MicroBatch m;
  m.batch = config.train.micro_batch, m.T = config.model.block;
  m.first_row = parts.host->rank() * parts.local_rows() + k * m.batch;
  m.dropout_seed = splitmix64(config.seed) + static_cast<std::uint64_t>(step);
  m.dropout = config.model.dropout > 0;
  return m;
}

void run_micro_batch(const TrainParts& parts, const MicroBatch& batch, std::int64_t k) {
  auto& gpt = *parts.gpt;
  auto& exchange = *parts.exchange;
  const double weight = exchange.token_weight(parts.config->train.global_batch * parts.config->model.block);
  const auto write = exchange.accumulates(k) ? ops::Write::add : ops::Write::assign;
  const int layers = parts.config->model.layers;
  exchange.await_weights(gpt.final_offset(0));
  gpt.forward_embedding(batch);
  for (int layer = 0; layer < layers; ++layer) {
    exchange.await_weights(gpt.final_offset(layer + 1));
    gpt.forward_block(layer, batch);
  }
  exchange.await_weights();
  gpt.forward_output();
  gpt.backward_head(batch, weight, write);
  exchange.ready(k, gpt.final_offset(layers));
  for (int layer = layers - 1; layer >= 0; --layer) {
    gpt.backward_block(layer, batch, write);
    exchange.ready(k, gpt.final_offset(layer));
  }
  gpt.backward_embedding(batch, write);
}

void damage_gradient(const TrainParts& parts, std::int64_t step) {
  if (fault_point("gradient", parts.host->rank(), step))
    ParamStore::view(parts.store->grad(), parts.store->find("wte.weight"))
        .flatten()
        .narrow(0, 7, 1)
        .fill_(std::numeric_limits<double>::infinity());
}

}  // namespace weightscope
