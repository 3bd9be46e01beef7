#pragma once
#include "comm/host_comm.hpp"
#include "data/loader.hpp"
#include "model/gpt.hpp"
#include "train/exchange.hpp"
#include "train/optimizer.hpp"

namespace weightscope {

/// What a training step works on; borrowed.
struct TrainParts {
  const RunConfig* config = nullptr;
  const HostComm* host = nullptr;
  Gpt* gpt = nullptr;
  const ParamStore* store = nullptr;
  GradientExchange* exchange = nullptr;
  Optimizer* optimizer = nullptr;

  std::int64_t local_rows() const { return config->train.global_batch / host->size(); }
  std::int64_t micro_batches() const { return local_rows() / config->train.micro_batch; }
  double global_tokens() const {
    return static_cast<double>(config->train.global_batch * config->model.block);
  }
};

/// Micro-batch k of this rank in step `step`; the caller adds tokens and targets.
MicroBatch describe_micro_batch(const TrainParts& parts, std::int64_t step, std::int64_t k);

/// Forward and backward of micro-batch k; weights are awaited as they are read, gradients go to the exchange
/// as they become final.
void run_micro_batch(const TrainParts& parts, const MicroBatch& batch, std::int64_t k);

/// For tests: a gradient that is not finite, where the environment asks for it.
void damage_gradient(const TrainParts& parts, std::int64_t step);

}  // namespace weightscope
