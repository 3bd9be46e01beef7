#pragma once
#include <cstdint>
#include <vector>

#include "monitor/blocks.hpp"

namespace weightscope {

/// Counters as a kernel keeps them: interleaved copies, so that equal neighbours do not wait for each other's
/// store. Copy c of slot s is element c·kCounterStride + s.
inline constexpr int kCounterCopies = 4, kCounterStride = 464;

/// One block of at most kBlock elements. `initial` may be null. Counters are added to.
/// cpu/kernel_ISA.cpp compiles cpu/block_kernel.inl once for each instruction set; all give the same bits,
/// because sums are kept in 16 lanes whatever the width of a register.
struct BlockKernel {
  const char* isa;
  void (*run)(const float* x, const float* initial, std::uint32_t count, std::uint32_t* counters,
              BlockStats* out);
  /// Sum of digest_term over pairs of elements: those of x, numbered from first_pair.
  std::uint64_t (*digest)(const float* x, std::uint64_t first_pair, std::size_t pairs);
};

BlockKernel block_kernel_generic();  ///< x86-64 baseline
BlockKernel block_kernel_avx2();
BlockKernel block_kernel_avx512();

/// Those that this machine can run, best last.
std::vector<BlockKernel> usable_block_kernels();

}  // namespace weightscope
