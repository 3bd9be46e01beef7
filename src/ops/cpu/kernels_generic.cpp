#define WEIGHTSCOPE_ISA generic
#define WEIGHTSCOPE_BF16_WORDS "ops/cpu/attention/words_bf16_widened.inl"

namespace weightscope::cpu::generic {
struct Registers {  // 16 vector registers
  static constexpr int kLanes = 4, kSums = 8, kTileVectors = 2;
};
}  // namespace weightscope::cpu::generic

#include "ops/cpu/kernels.inl"

namespace weightscope::cpu {
const Kernels& kernels_generic() { return generic::kTable; }
}  // namespace weightscope::cpu
