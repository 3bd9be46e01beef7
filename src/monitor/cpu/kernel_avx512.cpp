#define WEIGHTSCOPE_ISA avx512
#define WEIGHTSCOPE_VECTOR_BYTES 64
#include "monitor/cpu/block_kernel.inl"

namespace weightscope {
BlockKernel block_kernel_avx512() { return {"avx512", avx512::run, avx512::digest}; }
}  // namespace weightscope
