#define WEIGHTSCOPE_ISA avx2
#define WEIGHTSCOPE_BF16_WORDS "ops/cpu/attention/words_bf16_widened.inl"

namespace weightscope::cpu::avx2 {
struct Registers {  // 16 vector registers
  static constexpr int kLanes = 8, kSums = 8, kTileVectors = 2;
};
}  // namespace weightscope::cpu::avx2

#include "ops/cpu/kernels.inl"

namespace weightscope::cpu {
const Kernels& kernels_avx2() { return avx2::kTable; }
}  // namespace weightscope::cpu
