#define WEIGHTSCOPE_ISA avx512bf16
#define WEIGHTSCOPE_BF16_WORDS "ops/cpu/attention/words_bf16_native.inl"

namespace weightscope::cpu::avx512bf16 {
struct Registers {  // 32 vector registers
  static constexpr int kLanes = 16, kSums = 16, kTileVectors = 4;
};
}  // namespace weightscope::cpu::avx512bf16

#include "ops/cpu/kernels.inl"

namespace weightscope::cpu {
const Kernels& kernels_avx512bf16() { return avx512bf16::kTable; }
}  // namespace weightscope::cpu
