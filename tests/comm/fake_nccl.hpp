#pragma once
// Stands in for NCCL and the CUDA runtime at link time: device memory is host memory, streams and events are
// numbers, collectives move data through MPI. Everything is recorded, and errors can be ordered.
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace weightscope::fake {

struct Call {
  std::string name;
  std::size_t count = 0;
  const void* stream = nullptr;
  const void* event = nullptr;
  int root = -1;  ///< of a reduction to one rank or a broadcast
};

struct State {
  std::vector<Call> calls;  ///< of the thread that made this: a watch has calls of its own
  std::thread::id recorded = std::this_thread::get_id();
  int polls_until_ready = 0;   ///< "in progress" answers after initialization
  bool never_ready = false;    ///< initialization hangs
  int fail_at_collective = 0;  ///< n: the n-th collective reports an asynchronous error
  bool hang_at_collective = false;
  std::atomic<int> stream_state = 0;        ///< cudaError_t of cudaStreamQuery
  std::atomic<int> queries = 0;             ///< of streams and events
  std::atomic<bool> holds_queries = false;  ///< of events: they do not come back
  std::atomic<int> recordings = 0;          ///< of events; the device has
  std::atomic<int> reached = 1 << 30;       ///< so many of them behind it
  std::atomic<int> reported = -1;  ///< ncclResult_t of ncclCommGetAsyncError, whatever else; −1: none
  int aborted = 0, destroyed = 0;
  bool no_registration = false;
  bool moves_nothing = false;      ///< collectives are only recorded
  int memory = 0, registered = 0;  ///< pieces that are there now
  int collectives = 0;
};
inline constexpr std::uintptr_t kFirstEvent = 0x200;
inline std::array<std::atomic<int>, 4096> recorded_as;  ///< events: the number of their last recording
State& state();
void reset();  ///< while nothing watches

std::vector<std::string> names();  ///< of all calls, in order

}  // namespace weightscope::fake
