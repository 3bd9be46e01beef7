#define WEIGHTSCOPE_ISA avx2
#include "ops/cpu/kernels.inl"

namespace weightscope::cpu {
const Kernels& kernels_avx2() { return avx2::kTable; }
}  // namespace weightscope::cpu
