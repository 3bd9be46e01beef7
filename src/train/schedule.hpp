#pragma once
#include <cstdint>

#include "config/run_config.hpp"

namespace weightscope {

/// Learning rate of the update with index `step` (from 0): linear warm-up over warmup_steps, then lr ·
/// f(progress), f falling from 1 to min_ratio. cosine and linear: over all remaining steps; wsd ("warm-up,
/// stable, decay", Hu et al. 2024): linearly over the last decay_fraction of all steps; constant: 1.
double learning_rate(const RunConfig& config, std::int64_t step);

}  // namespace weightscope
