#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "comm/host_comm.hpp"
#include "comm/tensor_comm.hpp"
#include "config/run_config.hpp"
#include "store/checkpoint.hpp"
#include "train/exchange.hpp"
#include "train/optimizer.hpp"
#include "train/resume.hpp"

namespace weightscope {

/// Rank 0: the checkpoint to continue from, verified, or nothing for a fresh start. A damaged one is named in
/// a warning and the previous one taken — except with must and step: Error{input}. never: Error{config} when
/// the directory holds a run. A configuration that changes what must not change is refused by key:
/// Error{input}.
std::optional<Checkpoint> choose_checkpoint(const std::filesystem::path& run, const RunConfig& config,
                                            const Resume& resume);

/// Weights and moments of a checkpoint (rank 0 has it) to all ranks. Collective.
void load_state(const HostComm& host, TensorComm& comm, const std::optional<Checkpoint>& checkpoint,
                const ParamStore& store, GradientExchange& exchange, Optimizer& optimizer);

}  // namespace weightscope
