#include "monitor/cpu/block_kernel.hpp"

namespace weightscope {

std::vector<BlockKernel> usable_block_kernels() {
  std::vector<BlockKernel> kernels{block_kernel_generic()};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels.push_back(block_kernel_avx2());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    kernels.push_back(block_kernel_avx512());
  return kernels;
}

}  // namespace weightscope
