#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <optional>

#include "comm/host_comm.hpp"
#include "config/run_config.hpp"
#include "store/checkpoint_writer.hpp"
#include "train/exchange.hpp"
#include "train/optimizer.hpp"
#include "train/recorder.hpp"

namespace weightscope {

/// Saves the state of a run: shards are gathered, rank 0 writes. Beside the training it writes a copy of the
/// state (12 bytes a parameter, on rank 0); training waits only while that copy is made.
class Saver {
 public:
  /// Borrows all. With `copies`, memory for begin() is taken now.
  Saver(const RunConfig& config, const HostComm& host, GradientExchange& exchange, const ParamStore& store,
        const Optimizer& optimizer, Recorder& recorder, bool copies);

  /// Collective. `last`: on disk when this returns; otherwise soon, after the rows recorded before it.
  void save(const CheckpointInfo& info, bool last);
  /// Rank 0, each step: throws what could not be written, logs what was. Others: nothing.
  void poll();
  /// Rank 0: what was begun is on disk when this returns. Others: nothing.
  void finish();

 private:
  CheckpointWriter::Job job(const CheckpointInfo& info, const at::Tensor& master, const at::Tensor& exp_avg,
                            const at::Tensor& exp_avg_sq);
  void write_in_place(const CheckpointWriter::Job& job, const std::shared_future<void>& sealed);
  void note(const CheckpointWriter::Written& written);

  const HostComm* host_;
  GradientExchange* exchange_;
  const ParamStore* store_;
  const Optimizer* optimizer_;
  Recorder* recorder_;
  bool patient_ = false;
  std::array<at::Tensor, 3> copies_;        ///< weights and both moments, flat
  std::vector<at::Tensor> borrowed_;        ///< host memory of the job that is being written
  double stall_ = 0;                        ///< of the checkpoint begun last [s]
  std::optional<CheckpointWriter> writer_;  ///< rank 0; last: its thread reads other members' memory
};

}  // namespace weightscope
