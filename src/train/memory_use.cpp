#include "train/memory_use.hpp"

#include <ATen/ATen.h>

#include <cctype>
#include <filesystem>
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

std::int64_t program_bytes() {
  std::ifstream maps("/proc/self/smaps");
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::int64_t sum = 0;
  bool program = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.compare(0, 4, "Rss:") == 0) {
      if (program) sum += std::stoll(line.substr(4)) * 1024;
    } else if (std::isxdigit(static_cast<unsigned char>(line[0])) != 0 && line.find('-') < line.find(' ')) {
      const auto path = line.find('/');  // a mapping's first line: its addresses, its rights, its file
      program = path != std::string::npos && (line.compare(path, std::string::npos, self) == 0 ||
                                              line.find(".so", path) != std::string::npos);
    }
  }
  return sum;
}

std::int64_t resident_bytes() { return status_bytes("VmRSS:"); }
std::int64_t peak_resident_bytes() { return status_bytes("VmHWM:"); }

void warm_up(Types types) {
  const auto x = at::ones({64, 64}, at::TensorOptions().dtype(types.work));
  at::mm(x, x);
  at::addmm(x, x, x);
}

}  // namespace weightscope
