#pragma once
// Runs the threads of a block as fibers of one host thread: they take turns at barriers and warp operations.
#include <cuda_runtime.h>

#include <cstddef>
#include <cstring>
#include <functional>

// CUDA's own names, of the thread that runs.
inline uint3 threadIdx{}, blockIdx{};
inline dim3 blockDim, gridDim;

namespace weightscope::host_cuda {

/// Heads or tails, the same sequence in every process: what a device leaves open is decided by it.
bool toss();

/// Calls `kernel` for every thread of every block. Threads of a block take turns in ascending or descending
/// order, each warp as far ahead of the others as it gets, so that nothing can rely on an order. Throws
/// std::runtime_error when lanes of a warp wait for each other in vain.
void run_blocks(dim3 blocks, dim3 threads, std::size_t shared_bytes, const std::function<void()>& kernel);

void block_barrier();
/// Of those lanes in `mask`; throws when one of them has left the kernel.
void warp_barrier(unsigned mask);
unsigned lane();
/// Where `lane` of this warp leaves something for the others; another place at every turn of this thread.
std::byte* slot_of(unsigned lane);
void next_turn();
/// Filled with bytes of 0xff, NaNs, when the block begins.
void* shared_memory();
/// `copy` is done when this thread waits for its asynchronous copies.
void later(std::function<void()> copy);
void do_what_was_put_off();

/// v of lane `from`.
template <class T>
T from_lane(unsigned mask, T v, unsigned from) {
  static_assert(sizeof(T) <= 16);
  std::memcpy(slot_of(lane()), &v, sizeof v);
  warp_barrier(mask);
  std::memcpy(&v, slot_of(from), sizeof v);
  next_turn();
  return v;
}

}  // namespace weightscope::host_cuda
