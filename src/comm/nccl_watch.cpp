#include "comm/nccl_watch.hpp"

#include <cstdio>
#include <utility>

#include "comm/nccl_impl.hpp"
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
  for (auto& operation : under_way_) spare_.insert(spare_.end(), {operation.begun, operation.ended});
  for (auto* event : spare_)
    if (event != nullptr) cudaEventDestroy(event);
}

/// On the stream, behind what is there now.
cudaEvent_t NcclWatch::mark() {
  cudaEvent_t event = nullptr;
  if (spare_.empty()) {
    check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  } else {
    event = spare_.back();
    spare_.pop_back();
  }
  check_cuda(cudaEventRecord(event, stream_), "cudaEventRecord");
  return event;
}

void NcclWatch::forget_what_ended() {
  while (!under_way_.empty() && under_way_.front().complete &&
         cudaEventQuery(under_way_.front().ended) == cudaSuccess) {
    spare_.insert(spare_.end(), {under_way_.front().begun, under_way_.front().ended});
    under_way_.pop_front();
  }
}

void NcclWatch::begin(std::int64_t number, const std::string& what) {
  const std::lock_guard lock(mutex_);
  forget_what_ended();
  last_.number = number, last_.what = what;
  under_way_.push_back(last_);
  under_way_.back().begun = mark();
}

void NcclWatch::end() {
  const std::lock_guard lock(mutex_);
  under_way_.back().ended = mark();
  under_way_.back().complete = true;
}

void NcclWatch::pause(bool on) {
  const std::lock_guard lock(mutex_);
  paused_ = on;
}

std::string NcclWatch::message(double waited, const char* why) const {
  const auto& operation = under_way_.empty() ? last_ : under_way_.front();
  char text[160];
  std::snprintf(text, sizeof text, ": NCCL operation %lld, ", static_cast<long long>(operation.number));
  auto all = whereabouts() + text + operation.what;
  if (under_way_.empty()) all += ", the last one started";
  if (why != nullptr) return all + ": " + why;
  std::snprintf(text, sizeof text,
                ", has waited %.1f s: a rank is lost, stopped or stuck (parallel.timeout_s = %g)", waited,
                timeout_s_);
  return all + text;
}

void NcclWatch::watch() {
  cudaSetDevice(device_);  // of this thread: no context is to be made on another GPU
  Patience patience(timeout_s_);
  std::int64_t seen = 0;  // the operation that waited for others at the last look, 0: none
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, patience.period(), [this] { return end_; })) {
    if (paused_) continue;
    forget_what_ended();
    // Before it is complete the host is still putting it there, and has a deadline of its own.
    const bool waits = !under_way_.empty() && under_way_.front().complete &&
                       cudaEventQuery(under_way_.front().begun) == cudaSuccess;
    const std::int64_t now = waits ? under_way_.front().number : 0, before = std::exchange(seen, now);
    const double waited = patience.look(waits && now == before);
    ncclResult_t reported = ncclSuccess;
    const auto asked = ncclCommGetAsyncError(comm_, &reported);
    if (asked != ncclSuccess) reported = asked;
    const auto state = cudaStreamQuery(stream_);
    const char* why = reported != ncclSuccess && reported != ncclInProgress ? ncclGetErrorString(reported)
                      : state != cudaSuccess && state != cudaErrorNotReady  ? cudaGetErrorString(state)
                                                                            : nullptr;
    if (why == nullptr && waited <= timeout_s_) continue;
    const auto said = message(waited, why);
    lock.unlock();
    return give_up_(said);
  }
}

}  // namespace weightscope
