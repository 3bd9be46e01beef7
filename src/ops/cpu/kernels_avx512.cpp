#define WEIGHTSCOPE_ISA avx512
#define WEIGHTSCOPE_BF16_WORDS "ops/cpu/attention/words_bf16_widened.inl"

namespace weightscope::cpu::avx512 {
struct Registers {  // 32 vector registers
  static constexpr int kLanes = 16, kSums = 16, kTileVectors = 4;
};
}  // namespace weightscope::cpu::avx512

#include "ops/cpu/kernels.inl"

namespace weightscope::cpu {
const Kernels& kernels_avx512() { return avx512::kTable; }
}  // namespace weightscope::cpu
