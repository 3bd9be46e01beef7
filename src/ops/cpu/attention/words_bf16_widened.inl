// bf16 where the processor cannot multiply it: widened to float while packing. Probabilities stay floats too.
namespace weightscope::cpu::WEIGHTSCOPE_ISA {

template <>
struct Words<bf16> : FloatWords<bf16> {};

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
