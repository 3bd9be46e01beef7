#pragma once
#include <vector>

#include "ops/cpu/kernels.hpp"

namespace weightscope::cpu {

/// The kernels that run on this machine, the best last.
std::vector<const Kernels*> usable_kernels();

}  // namespace weightscope::cpu
