#define WEIGHTSCOPE_ISA avx2
#define WEIGHTSCOPE_VECTOR_BYTES 32
#include "monitor/cpu/block_kernel.inl"

namespace weightscope {
BlockKernel block_kernel_avx2() { return {"avx2", avx2::run, avx2::digest}; }
}  // namespace weightscope
