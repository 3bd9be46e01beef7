#pragma once
#include <vector>

#include "ops/cpu/kernels.hpp"

namespace weightscope::cpu {

/// The kernels that run on this machine, the best last.
std::vector<const Kernels*> usable_kernels();

/// Those named `isa`, or the best where it is null or empty. Error{config} when they do not run here.
const Kernels& choose(const std::vector<const Kernels*>& usable, const char* isa);

}  // namespace weightscope::cpu
