#include "comm/nccl_watch.hpp"

#include <cstdio>
#include <utility>

#include "comm/cuda_check.hpp"
#include "core/crash.hpp"

namespace weightscope {
NcclWatch::NcclWatch(ncclComm_t comm, int device, cudaStream_t stream, double timeout_s, GiveUp give_up)
    : comm_(comm),
      device_(device),
      stream_(stream),
      timeout_s_(timeout_s),
      give_up_(std::move(give_up)),
      thread_([this] { watch(); }),
      second_([this] { watch_the_watch(); }) {}

NcclWatch::~NcclWatch() {
  {
    const std::scoped_lock lock(mutex_, second_mutex_);
    end_ = second_end_ = true;
  }
  ended_.notify_one(), second_ended_.notify_one();
  thread_.join(), second_.join();
  for (auto& operation : under_way_) spare_.insert(spare_.end(), {operation.begun, operation.ended});
  for (auto* event : spare_)
    if (event != nullptr) cudaEventDestroy(event);
}

/// On the stream, behind what is there now. The driver may keep the caller waiting: nothing is locked.
cudaEvent_t NcclWatch::mark() {
  cudaEvent_t event = nullptr;
  {
    const std::lock_guard lock(mutex_);
    forget_what_ended();
    if (!spare_.empty()) event = spare_.back(), spare_.pop_back();
  }
  if (event == nullptr)
    check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
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
  auto* const begun = mark();
  const std::lock_guard lock(mutex_);
  number_ = last_.number = number, last_.what = what;
  under_way_.push_back(last_);
  under_way_.back().begun = begun;
}

void NcclWatch::end() {
  auto* const ended = mark();
  const std::lock_guard lock(mutex_);
  under_way_.back().ended = ended;
  under_way_.back().complete = true;
}

void NcclWatch::pause(bool on) {
  const std::lock_guard lock(mutex_);
  paused_ = on;
}

void NcclWatch::speak(const std::string& message) {
  if (!said_.exchange(true)) give_up_(message);
}

std::string NcclWatch::lost_text() const {
  char text[96];
  std::snprintf(text, sizeof text, ": a rank is lost, stopped or stuck (parallel.timeout_s = %g)",
                timeout_s_);
  return text;
}

std::string NcclWatch::message(double waited, const char* why) const {
  const auto& operation = under_way_.empty() ? last_ : under_way_.front();
  char text[96];
  std::snprintf(text, sizeof text, ": NCCL operation %lld, ", static_cast<long long>(operation.number));
  auto all = whereabouts() + text + operation.what;
  if (under_way_.empty()) all += ", the last one started";
  if (why != nullptr) return all + ": " + why;
  std::snprintf(text, sizeof text, ", has waited %.1f s", waited);
  return all + text + lost_text();
}

void NcclWatch::watch() {
  cudaSetDevice(device_);  // of this thread: no context is to be made on another GPU
  Patience patience(timeout_s_);
  std::int64_t seen = 0;  // the operation that waited for others at the last look, 0: none
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, patience.period(), [this] { return end_; })) {
    ++looks_;
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
    return speak(said);
  }
}

void NcclWatch::watch_the_watch() {
  Patience patience(timeout_s_);
  std::uint64_t before = 0;
  std::unique_lock lock(second_mutex_);
  while (!second_ended_.wait_for(lock, patience.period(), [this] { return second_end_ || said_; })) {
    const std::uint64_t now = looks_;
    const double waited = patience.look(now == std::exchange(before, now));
    if (waited <= timeout_s_) continue;
    char text[160];
    std::snprintf(
        text, sizeof text,
        ": the driver of the GPU has not answered for %.1f s, with NCCL operation %lld the last one started",
        waited, static_cast<long long>(number_.load()));
    lock.unlock();
    return speak(whereabouts() + text + lost_text());
  }
}

}  // namespace weightscope
