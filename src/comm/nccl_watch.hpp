#pragma once
// Private to comm: what happens to an NCCL operation after the host has started it.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "comm/watchdog.hpp"

namespace weightscope {

/// A peer that is lost shows on the device only: the host goes on, and waits for a kernel that never ends in
/// some call that knows nothing of NCCL. So a thread looks whether the communicator reports an error, and
/// whether one operation takes longer than `timeout_s` from where it could begin: what this rank computes
/// before it does not count. Then this rank says which one that is, and the job ends with code 9.
///
/// The driver may keep that thread waiting, too: it locks what it has to ask while a launch waits for room in
/// a full queue. So a second thread, which calls nothing of CUDA, looks whether the first one still looks.
class NcclWatch {
 public:
  using GiveUp = std::function<void(const std::string&)>;
  /// stream: all operations are put there. give_up: what to do with the message, once, on a watching thread;
  /// afterwards nothing is watched any more.
  NcclWatch(ncclComm_t comm, int device, cudaStream_t stream, double timeout_s, GiveUp give_up);
  ~NcclWatch();
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;
  /// What is put on the stream from here on is operation `number`; errors: Error{comm}.
  void begin(std::int64_t number, const std::string& what);
  void end();  ///< until here
  /// Whether to leave stream and communicator alone for now.
  void pause(bool on);

 private:
  struct Operation {
    std::int64_t number = 0;
    std::string what;
    cudaEvent_t begun = nullptr, ended = nullptr;
    bool complete = false;  ///< end() was called
  };
  void watch();
  void watch_the_watch();
  void speak(const std::string& message);
  void forget_what_ended();
  cudaEvent_t mark();
  std::string message(double waited, const char* why) const;
  std::string lost_text() const;

  ncclComm_t comm_;
  int device_;
  cudaStream_t stream_;
  double timeout_s_;
  GiveUp give_up_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::deque<Operation> under_way_;  ///< in order
  Operation last_;                   ///< that was begun; without its events
  std::vector<cudaEvent_t> spare_;
  bool end_ = false, paused_ = false;
  std::atomic<std::uint64_t> looks_ = 0;  ///< that have begun
  std::atomic<std::int64_t> number_ = 0;  ///< of last_
  std::atomic<bool> said_ = false;
  std::mutex second_mutex_;  ///< never held for long
  std::condition_variable second_ended_;
  bool second_end_ = false;
  std::thread thread_, second_;
};

}  // namespace weightscope
