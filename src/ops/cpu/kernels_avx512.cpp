#define WEIGHTSCOPE_ISA avx512
#include "ops/cpu/kernels.inl"

namespace weightscope::cpu {
const Kernels& kernels_avx512() { return avx512::kTable; }
}  // namespace weightscope::cpu
