#include "ops/cpu/kernels.hpp"

namespace weightscope::cpu {

const Kernels& kernels() {
  static const Kernels& best =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
          ? kernels_avx512()
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kernels_avx2()
                                                                        : kernels_generic();
  return best;
}

}  // namespace weightscope::cpu
