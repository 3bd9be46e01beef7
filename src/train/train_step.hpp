#pragma once
#include <cstdint>
#include <vector>

#include "comm/host_comm.hpp"
#include "data/loader.hpp"
#include "model/gpt.hpp"
#include "train/exchange.hpp"
#include "train/optimizer.hpp"

namespace weightscope {

struct StepResult {
  double loss = 0;       ///< mean over the tokens of the global batch, before the update [nats/token]
  double grad_norm = 0;  ///< L2, before clipping
  double lr = 0;
  std::vector<double> moved;  ///< Σ (Δw)² per parameter, when asked for; summed over shards
};

/// One update: micro-batches forward and backward, gradients exchanged, clipped, AdamW. Collective.
class TrainStep {
 public:
  TrainStep(const RunConfig& config, const HostComm& host, Gpt& gpt, const ParamStore& store,
            GradientExchange& exchange, Optimizer& optimizer);
  /// `batch`: this rank's rows. Does not update when loss or norm are not finite.
  StepResult run(std::int64_t step, const Batch& batch, bool measure_movement);

 private:
  void forward_backward(std::int64_t step, const Batch& batch);
  MicroBatch micro_batch(std::int64_t step, const Batch& batch, std::int64_t k) const;
  bool reproducible() const;
  void keep_loss(std::int64_t k);
  double summed_loss();

  const RunConfig* config_;
  const HostComm* host_;
  Gpt* gpt_;
  const ParamStore* store_;
  GradientExchange* exchange_;
  Optimizer* optimizer_;
  std::vector<double> losses_;  ///< of each micro-batch of the global batch; reproducible mode only
};

/// A device copy of `rows` rows of T tokens from host memory.
at::Tensor to_device(const std::vector<std::int64_t>& tokens, std::int64_t first_row, std::int64_t rows,
                     std::int64_t T, DevicePlace place);

}  // namespace weightscope
