#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <memory>

#include "model/device_work.hpp"
#include "ops/device_update.hpp"
#include "train/micro_step.hpp"
#include "train/train_step.hpp"

namespace weightscope {

/// A training step on a GPU that the host only starts: micro-batches and the update are recorded as CUDA
/// graphs (train.cuda_graphs; launched one by one where weights of other shards are awaited), tokens and what
/// decides over dropout's masks go over on a copy stream, loss and norm come back when they are there.
/// The host waits only for an update that is measured with monitor.gradients.
class DeviceStep {
 public:
  /// meter: may be null; borrowed.
  DeviceStep(const TrainParts& parts, UpdateMeter* meter);
  void begin(std::int64_t step, const Batch& batch, bool measure_movement);
  /// Waits for the step. At most two steps may be under way.
  StepResult end(std::int64_t step);

 private:
  std::int64_t micro_tokens() const;
  void upload(std::int64_t step, const Batch& batch);
  void micro_step(std::int64_t step, std::int64_t k);
  bool is_last(std::int64_t k) const { return k + 1 == parts_.micro_batches(); }
  void hand_over(std::int64_t step, std::int64_t k);  ///< the gradient of micro-batch k to the exchange
  void apply(bool measure_movement);

  TrainParts parts_;
  UpdateMeter* meter_;
  std::array<UpdateRecord, 2> records_;  ///< of the steps under way
  ops::DeviceUpdate update_;
  CopyStream copies_;
  struct Staging {
    at::Tensor host, device;  ///< [micro-batches, as inputs_]
  };
  std::array<Staging, 2> staging_;
  at::Tensor inputs_;  ///< where graphs read: tokens and targets of a micro-batch, its ops::MaskOrigin
  struct StepGraph {
    DeviceGraph graph;
    std::int64_t collectives = 0;  ///< in it
  };
  /// Runs f: launch by launch, recording it into the graph, or from the graph.
  template <class F>
  void run_through(StepGraph& part, bool may_record, F&& f);
  StepGraph first_, further_, last_, update_graph_;
  int steps_ = 0;  ///< begun here: the first ones run eagerly and make every library ready
};

}  // namespace weightscope
