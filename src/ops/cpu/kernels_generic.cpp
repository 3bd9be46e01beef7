#define WEIGHTSCOPE_ISA generic
#include "ops/cpu/kernels.inl"

namespace weightscope::cpu {
const Kernels& kernels_generic() { return generic::kTable; }
}  // namespace weightscope::cpu
