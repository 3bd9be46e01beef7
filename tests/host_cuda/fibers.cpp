#include "host_cuda/fibers.hpp"

#include <ucontext.h>
#include <csetjmp>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace weightscope::host_cuda {
namespace {

constexpr std::size_t kStack = 256 << 10;
constexpr unsigned kWarp = 32;

enum class State { ready, at_block_barrier, at_warp_barrier, over };

struct Fiber {
  jmp_buf context{};
  bool begun = false;
  State state = State::ready;
  uint3 thread{};
  unsigned number = 0, mask = 0, turn = 0;
  std::vector<std::function<void()>> copies;
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<std::array<std::array<std::byte, 16>, 2>> slots;
  std::vector<uint4> shared;
  std::unique_ptr<std::byte[]> stacks;
  jmp_buf scheduler{};
  ucontext_t here{};  // of the scheduler, where fibers begin
  const std::function<void()>* kernel = nullptr;
  std::exception_ptr failure;
  void* fake_stack = nullptr;  // the scheduler's, for AddressSanitizer
  const void* bottom = nullptr;
  std::size_t size = 0;
};
Block block;
Fiber* running = nullptr;

// AddressSanitizer has to know whose stack is in use.
void leave([[maybe_unused]] void** mine, [[maybe_unused]] const void* bottom,
           [[maybe_unused]] std::size_t size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(mine, bottom, size);
#endif
}
void arrive([[maybe_unused]] void* mine, [[maybe_unused]] const void** from,
            [[maybe_unused]] std::size_t* size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(mine, from, size);
#endif
}

void yield(State state) {
  auto* me = running;
  me->state = state;
  void* fake = nullptr;
  leave(state == State::over ? nullptr : &fake, block.bottom, block.size);
  if (_setjmp(me->context) == 0) _longjmp(block.scheduler, 1);
  arrive(fake, &block.bottom, &block.size);
}

void body() {
  arrive(nullptr, &block.bottom, &block.size);
  try {
    (*block.kernel)();
  } catch (...) {
    block.failure = std::current_exception();
  }
  yield(State::over);
}

void prepare(dim3 threads, std::size_t shared_bytes) {
  const auto n = std::size_t{threads.x} * threads.y * threads.z;
  if (block.fibers.size() < n) {
    block.stacks.reset(new std::byte[n * kStack]);  // not written: most of it is never touched
    block.fibers = std::vector<Fiber>(n);
  }
  block.slots.resize(n);
  block.shared.assign((shared_bytes + 15) / 16, uint4{~0U, ~0U, ~0U, ~0U});
  for (std::size_t i = 0; i < n; ++i) {
    auto& f = block.fibers[i];
    const auto number = static_cast<unsigned>(i);
    f.state = State::ready, f.number = number, f.turn = 0, f.copies.clear();
    f.thread = {number % threads.x, number / threads.x % threads.y, number / threads.x / threads.y};
    f.begun = false;
  }
}

void resume(Fiber& f) {
  running = &f, threadIdx = f.thread;
  void* fake = nullptr;
  auto* stack = block.stacks.get() + f.number * kStack;
  leave(&fake, stack, kStack);
  // Contexts only begin a fiber: a switch of contexts asks the kernel for the signal mask each time.
  if (_setjmp(block.scheduler) == 0) {
    if (std::exchange(f.begun, true)) _longjmp(f.context, 1);
    ucontext_t begin = block.here;
    begin.uc_stack = {stack, 0, kStack};
    makecontext(&begin, body, 0);
    setcontext(&begin);
  }
  arrive(fake, nullptr, nullptr);
  running = nullptr;
  if (block.failure) std::rethrow_exception(std::exchange(block.failure, nullptr));
}

auto threads_of(std::size_t first, std::size_t end) {
  return std::span(block.fibers).subspan(first, end - first);
}

/// Whether lanes could go on because all lanes of their warp operation are there.
bool release_lanes(std::span<Fiber> warp) {
  for (const auto& f : warp) {
    if (f.state != State::at_warp_barrier) continue;
    const unsigned mask = f.mask;
    const auto named = [&](const Fiber& other) { return (mask >> other.number % kWarp & 1U) != 0; };
    if (std::ranges::any_of(warp, [&](const Fiber& x) { return named(x) && x.state == State::over; }))
      throw std::runtime_error("a warp operation names a lane that has left the kernel");
    if (std::ranges::any_of(warp, [&](const Fiber& x) {
          return named(x) && (x.state != State::at_warp_barrier || x.mask != mask);
        }))
      continue;
    for (auto& other : warp)
      if (named(other)) other.state = State::ready;
    return true;
  }
  return false;
}

/// Until all of its lanes have left the kernel or wait for other warps: as far ahead of them as it gets.
void run_warp(std::span<Fiber> warp, bool backwards) {
  do
    for (std::size_t i = 0; i < warp.size(); ++i) {
      auto& f = warp[backwards ? warp.size() - 1 - i : i];
      if (f.state == State::ready) resume(f);
    }
  while (release_lanes(warp));
}

void run_block(std::size_t n, bool backwards) {
  const std::size_t warps = (n + kWarp - 1) / kWarp;
  const auto all = threads_of(0, n);
  for (;;) {
    for (std::size_t i = 0; i < warps; ++i) {
      const std::size_t first = (backwards ? warps - 1 - i : i) * kWarp;
      run_warp(threads_of(first, std::min(n, first + kWarp)), backwards);
    }
    if (std::ranges::all_of(all, [](const Fiber& f) { return f.state == State::over; })) return;
    if (std::ranges::any_of(all, [](const Fiber& f) { return f.state == State::at_warp_barrier; }))
      throw std::runtime_error("lanes wait for others of their warp that never come");
    for (auto& f : all)
      if (f.state == State::at_block_barrier) f.state = State::ready;
  }
}

}  // namespace

bool toss() {
  static std::uint32_t state = 1;
  state = state * 1664525U + 1013904223U;
  return state >> 31 != 0;
}

void run_blocks(dim3 blocks, dim3 threads, std::size_t shared_bytes, const std::function<void()>& kernel) {
  block.kernel = &kernel;
  getcontext(&block.here);
  gridDim = blocks, blockDim = threads;
  for (unsigned z = 0; z < blocks.z; ++z)
    for (unsigned y = 0; y < blocks.y; ++y)
      for (unsigned x = 0; x < blocks.x; ++x) {
        blockIdx = {x, y, z};
        prepare(threads, shared_bytes);
        run_block(std::size_t{threads.x} * threads.y * threads.z, toss());
      }
}

void block_barrier() { yield(State::at_block_barrier); }
void warp_barrier(unsigned mask) {
  running->mask = mask;
  yield(State::at_warp_barrier);
}
unsigned lane() { return running->number % kWarp; }
std::byte* slot_of(unsigned of) {
  return block.slots.at(running->number / kWarp * kWarp + of)[running->turn % 2].data();
}
void next_turn() { ++running->turn; }
void* shared_memory() { return block.shared.data(); }
void later(std::function<void()> copy) { running->copies.push_back(std::move(copy)); }
void do_what_was_put_off() {
  for (const auto& copy : running->copies) copy();
  running->copies.clear();
}

}  // namespace weightscope::host_cuda
