#include "ops/cpu/dispatch.hpp"

#include <cstdlib>
#include <string_view>

#include "core/error.hpp"

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

const Kernels& choose(const std::vector<const Kernels*>& usable, const char* isa) {
  if (isa == nullptr || *isa == 0) return *usable.back();
  std::string names;
  for (const auto* k : usable) {
    if (std::string_view(k->isa) == isa) return *k;
    names += (names.empty() ? "" : ", ") + std::string(k->isa);
  }
  throw Error(Fault::config,
              "WEIGHTSCOPE_ISA = " + std::string(isa) + " is none of what this processor runs: " + names);
}

const Kernels& kernels() {
  static const Kernels& chosen = choose(usable_kernels(), std::getenv("WEIGHTSCOPE_ISA"));
  return chosen;
}

}  // namespace weightscope::cpu
