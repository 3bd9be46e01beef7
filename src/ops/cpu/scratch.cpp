#include "ops/cpu/scratch.hpp"

#include <cstdlib>
#include <memory>
#include <new>

namespace weightscope::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
struct Memory {
  std::unique_ptr<std::byte, Free> at;
  std::size_t size = 0;
};

}  // namespace

std::byte* scratch(Scratch kind, std::size_t bytes) {
  thread_local Memory own, team;
  Memory& memory = kind == Scratch::own ? own : team;
  if (memory.size < bytes) {
    // Whole huge pages: packed operands are walked with large strides, which would miss the TLB on small
    // ones.
    const std::size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
    memory.at.reset();
    memory.size = 0;
    memory.at.reset(static_cast<std::byte*>(std::aligned_alloc(kHugePage, size)));
    if (!memory.at) throw std::bad_alloc();
    memory.size = size;
  }
  return memory.at.get();
}

}  // namespace weightscope::cpu
