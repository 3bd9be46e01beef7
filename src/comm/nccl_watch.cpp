#include "comm/nccl_watch.hpp"

#include <cstdio>
#include <utility>

#include "core/crash.hpp"

namespace weightscope {

NcclWatch::NcclWatch(ncclComm_t comm, int device, cudaStream_t stream, double timeout_s, GiveUp give_up)
    : comm_(comm),
      device_(device),
      stream_(stream),
      timeout_s_(timeout_s),
      give_up_(std::move(give_up)),
      thread_([this] { watch(); }) {}

NcclWatch::~NcclWatch() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void NcclWatch::started(std::int64_t number, const std::string& what) {
  const std::lock_guard lock(mutex_);
  number_ = number, what_ = what;
}

void NcclWatch::pause(bool on) {
  const std::lock_guard lock(mutex_);
  paused_ = on;
}

void NcclWatch::watch() {
  cudaSetDevice(device_);  // of this thread: no context is to be made on another GPU
  Patience patience(timeout_s_);
  std::int64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, patience.period(), [this] { return end_; })) {
    if (paused_) continue;
    const auto state = cudaStreamQuery(stream_);
    const double waited =
        patience.look(state == cudaErrorNotReady && number_ == std::exchange(seen, number_));
    ncclResult_t reported = ncclSuccess;
    const auto asked = ncclCommGetAsyncError(comm_, &reported);
    if (asked != ncclSuccess) reported = asked;
    const char* why = reported != ncclSuccess && reported != ncclInProgress ? ncclGetErrorString(reported)
                      : state != cudaSuccess && state != cudaErrorNotReady  ? cudaGetErrorString(state)
                                                                            : nullptr;
    if (why == nullptr && waited <= timeout_s_) continue;
    char text[160];
    std::snprintf(text, sizeof text, ": has waited %.1f s for NCCL operation %lld, the last one started, ",
                  waited, static_cast<long long>(number_));
    const auto message = whereabouts() + text + what_ + ": ";
    char late[120];
    std::snprintf(late, sizeof late, "a rank is lost, stopped or stuck (parallel.timeout_s = %g)",
                  timeout_s_);
    lock.unlock();
    return give_up_(message + (why != nullptr ? why : late));
  }
}

}  // namespace weightscope
