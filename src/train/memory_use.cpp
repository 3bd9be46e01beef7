#include "train/memory_use.hpp"

#include <ATen/ATen.h>

#include <fstream>
#include <string>

namespace weightscope {
namespace {

std::int64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == key) {
      std::int64_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  return 0;
}

}  // namespace

std::int64_t resident_bytes() { return status_bytes("VmRSS:"); }
std::int64_t peak_resident_bytes() { return status_bytes("VmHWM:"); }

void warm_up(Types types) {
  const auto x = at::ones({64, 64}, at::TensorOptions().dtype(types.work));
  at::mm(x, x);
  at::addmm(x, x, x);
}

}  // namespace weightscope
