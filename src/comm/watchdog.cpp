#include "comm/watchdog.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include "comm/host_comm.hpp"
#include "core/crash.hpp"
#include "core/log.hpp"

namespace weightscope {
namespace {

using Seconds = std::chrono::duration<double>;

// What the thread that talks to MPI does: written by Wait, read by the watching thread.
std::atomic<const char*> current{nullptr};  // null: no blocking call
std::atomic<std::int64_t> current_bytes{0};
std::atomic<std::uint64_t> calls{0};  // so far, the current one included

/// How long all ranks have to say what they wait for before the first one ends the job.
constexpr double kTimeToSpeak = 0.7;
/// How long a call may take after TERM before it looks like a wait in vain: launchers kill after about a
/// second.
constexpr double kPatienceAfterTerm = 0.4;

/// "rank 0 (node7), step 8: has waited 2.0 s for the other ranks in call 41, MPI_Allreduce of 8 bytes"
std::string what_is_waited_for(double seconds) {
  const char* operation = current.load(std::memory_order_acquire);
  char text[256];
  std::snprintf(text, sizeof text, ": has waited %.1f s for the other ranks in call %llu, %s of %lld bytes",
                seconds, static_cast<unsigned long long>(calls.load()),
                operation == nullptr ? "just over" : operation, static_cast<long long>(current_bytes.load()));
  return whereabouts() + text;
}

}  // namespace

Wait::Wait(const char* operation, std::int64_t bytes) {
  current_bytes.store(bytes, std::memory_order_relaxed);
  calls.fetch_add(1, std::memory_order_relaxed);
  current.store(operation, std::memory_order_release);
}
Wait::~Wait() { current.store(nullptr, std::memory_order_release); }

Watchdog::Watchdog(double timeout_s, const std::atomic<int>& stop_signal,
                   std::function<std::string()> last_words)
    : timeout_s_(timeout_s),
      stop_signal_(&stop_signal),
      last_words_(std::move(last_words)),
      thread_([this] { watch(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void Watchdog::watch() {
  const Seconds period(std::min(0.2, timeout_s_ / 8));
  std::uint64_t call = 0;
  double waited = 0, after_term = 0;
  bool said = false;
  auto before = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, period, [this] { return end_; })) {
    const auto now = std::chrono::steady_clock::now();
    const double passed = std::min(Seconds(now - before).count(), 2 * period.count());
    before = now;
    const bool waits = current.load(std::memory_order_acquire) != nullptr;
    const auto at = calls.load(std::memory_order_relaxed);
    const bool same = waits && at == call;
    call = at;
    waited = same ? waited + passed : 0;
    after_term = same && *stop_signal_ == SIGTERM ? after_term + passed : 0;
    if (after_term > kPatienceAfterTerm && !std::exchange(said, true))
      log_warning(what_is_waited_for(waited) + " and was told to end: it may have lost one of them" +
                  last_words_());
    if (waited > timeout_s_) bark(waited);
  }
}

void Watchdog::bark(double seconds) {
  char text[128];
  std::snprintf(text, sizeof text, ": one of them is lost, stopped or stuck (parallel.timeout_s = %g)",
                timeout_s_);
  log_error(what_is_waited_for(seconds) + text + last_words_());
  std::this_thread::sleep_for(Seconds(kTimeToSpeak));
  MpiScope::abort(static_cast<int>(Fault::comm));
}

}  // namespace weightscope
