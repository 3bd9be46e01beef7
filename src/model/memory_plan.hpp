#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/activations.hpp"

namespace weightscope {

/// One line of `weightscope check`: what takes memory on each rank.
struct PlannedBytes {
  std::string what;
  std::int64_t bytes = 0;
};

/// Weights, gradients, optimizer moments (sharded by ZeRO), spare gradients of reproducible sums,
/// activations, loss head, workspace of LibTorch's attention, batches, snapshots. The sum agrees with the
/// measured peak within 10 % (tests/system). For a run on GPUs, `device` memory of each: within 5 % from 124
/// million parameters on (docs/performance.md), beside the half gigabyte that CUDA itself takes.
std::vector<PlannedBytes> plan_memory(const RunConfig& config, int world);
/// Whether the plan is of device memory: what `config` names, or else what this machine has.
bool plans_for_gpu(const RunConfig& config);
std::int64_t total_bytes(const std::vector<PlannedBytes>& plan);
/// Bytes of a checkpoint on disk, and of one snapshot in the experiment file before compression.
std::int64_t checkpoint_bytes(const RunConfig& config);
std::int64_t snapshot_bytes(const RunConfig& config);
/// Whether checkpoints are written beside the training, from a copy of the state.
bool saves_beside_training(const RunConfig& config);
/// Spare flat gradients that the fixed summation tree needs: one per level of the tree over local
/// micro-batches.
int tree_buffers(const RunConfig& config, int world);

}  // namespace weightscope
