#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "train/micro_step.hpp"
#include "train/update_meter.hpp"

namespace weightscope {

class DeviceStep;

struct StepResult {
  double loss = 0;       ///< mean over the tokens of the global batch, before the update [nats/token]
  double grad_norm = 0;  ///< L2, before clipping
  double lr = 0;
  std::vector<double> moved;  ///< Σ (Δw)² per parameter, when asked for; summed over shards
  UpdateRecord record;        ///< with monitor.gradients, when asked for
};

/// One update: micro-batches forward and backward, gradients exchanged, clipped, AdamW. Collective.
class TrainStep {
 public:
  TrainStep(const RunConfig& config, const HostComm& host, Gpt& gpt, const ParamStore& store,
            GradientExchange& exchange, Optimizer& optimizer);
  ~TrainStep();
  TrainStep(TrainStep&&) noexcept;

  /// Starts a step. `batch`: this rank's rows. Does not update when loss or norm are not finite.
  /// measure_movement: a snapshot follows.
  void begin(std::int64_t step, const Batch& batch, bool measure_movement);
  /// Its result; waits for it.
  StepResult end(std::int64_t step);
  /// Whether the next step may begin before this one has ended, and should.
  bool overlaps() const { return device_ != nullptr; }
  StepResult run(std::int64_t step, const Batch& batch, bool measure_movement) {
    begin(step, batch, measure_movement);
    return end(step);
  }

 private:
  void forward_backward(std::int64_t step, const Batch& batch);
  bool reproducible() const;
  void keep_loss(std::int64_t k);
  double summed_loss();

  TrainParts parts_;
  std::unique_ptr<UpdateMeter> meter_;  ///< with monitor.gradients
  std::unique_ptr<DeviceStep> device_;  ///< on a GPU, unless the sums must be reproducible; borrows the meter
  StepResult result_;
  std::vector<double> losses_;  ///< of each micro-batch of the global batch; reproducible mode only
};

/// A device copy of `rows` rows of T tokens from host memory.
at::Tensor to_device(const std::vector<std::int64_t>& tokens, std::int64_t first_row, std::int64_t rows,
                     std::int64_t T, DevicePlace place);

}  // namespace weightscope
