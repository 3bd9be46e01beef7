#define WEIGHTSCOPE_ISA generic
#define WEIGHTSCOPE_VECTOR_BYTES 16
#include "monitor/cpu/block_kernel.inl"

namespace weightscope {
BlockKernel block_kernel_generic() { return {"generic", generic::run, generic::digest}; }
}  // namespace weightscope
