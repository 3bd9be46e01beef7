#include "ops/cpu/dispatch.hpp"

namespace weightscope::cpu {

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> usable{&kernels_generic()};
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return usable;
  usable.push_back(&kernels_avx2());
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512cd"))
    return usable;
  usable.push_back(&kernels_avx512());
  if (!__builtin_cpu_supports("avx512bf16")) return usable;
  // AMD multiplies twice as many bf16 as floats in a cycle; Intel (Cooper Lake to Emerald Rapids) half as
  // many.
  const bool slower = __builtin_cpu_is("intel");
  usable.insert(slower ? usable.end() - 1 : usable.end(), &kernels_avx512bf16());
  return usable;
}

const Kernels& kernels() {
  static const Kernels& best = *usable_kernels().back();
  return best;
}

}  // namespace weightscope::cpu
