#pragma once
// Private to comm: what happens to an NCCL operation after the host has started it.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "comm/watchdog.hpp"

namespace weightscope {

/// A peer that is lost shows on the device only: the host goes on, and waits for a kernel that never ends in
/// some call that knows nothing of NCCL. So a thread looks whether the communicator reports an error, and
/// whether the stream stands still for longer than `timeout_s` since the last operation was started. Then
/// this rank says which one that was, and the job ends with code 9.
class NcclWatch {
 public:
  using GiveUp = std::function<void(const std::string&)>;
  /// give_up: what to do with the message, on the watching thread; afterwards nothing is watched any more.
  NcclWatch(ncclComm_t comm, int device, cudaStream_t stream, double timeout_s, GiveUp give_up);
  ~NcclWatch();
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;
  /// Operation `number` is on the stream; it, and those before it, are to end.
  void started(std::int64_t number, const std::string& what);
  /// Whether to leave stream and communicator alone for now.
  void pause(bool on);

 private:
  void watch();

  ncclComm_t comm_;
  int device_;
  cudaStream_t stream_;
  double timeout_s_;
  GiveUp give_up_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::int64_t number_ = 0;
  std::string what_;
  bool end_ = false, paused_ = false;
  std::thread thread_;
};

}  // namespace weightscope
