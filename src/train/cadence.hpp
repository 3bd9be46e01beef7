#pragma once
#include <cstdint>

#include "config/run_config.hpp"

namespace weightscope {

/// Whether the weights after `step` updates are to be recorded: step 0, powers of two while they are below
/// the cadence (monitor.early), the cadence itself in steps or epochs, and the last step.
bool snapshot_due(const RunConfig& config, std::int64_t step, std::uint64_t blocks);

/// Whether something done every `every` steps (0: never) is due after `step` updates; the last step always is
/// when every > 0.
bool due(std::int64_t every, std::int64_t step, std::int64_t last);

}  // namespace weightscope
