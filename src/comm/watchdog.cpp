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

// What the thread that talks to MPI does: written by Wait, read by the watching thread.
std::atomic<const char*> current{nullptr};  // null: no blocking call
std::atomic<std::int64_t> current_bytes{0};
std::atomic<std::uint64_t> calls{0};  // so far, the current one included

std::mutex last_words_mutex;
std::function<std::string()> last_words;  // of the watchdog that lives

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

Patience::Patience(double timeout_s)
    : period_(std::min(0.2, timeout_s / 8)), before_(std::chrono::steady_clock::now()) {}

double Patience::look(bool goes_on) {
  const auto now = std::chrono::steady_clock::now();
  const double passed = std::min(Seconds(now - before_).count(), 2 * period_.count());
  before_ = now;
  return waited_ = goes_on ? waited_ + passed : 0;
}

void end_waiting(const std::string& what) {
  {
    const std::lock_guard lock(last_words_mutex);
    log_error(what + (last_words ? last_words() : ""));
  }
  std::this_thread::sleep_for(Patience::Seconds(kTimeToSpeak));
  MpiScope::abort(static_cast<int>(Fault::comm));
}

Watchdog::Watchdog(double timeout_s, const std::atomic<int>& stop_signal, std::function<std::string()> words)
    : timeout_s_(timeout_s), stop_signal_(&stop_signal) {
  {
    const std::lock_guard lock(last_words_mutex);
    last_words = std::move(words);
  }
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
  const std::lock_guard lock(last_words_mutex);
  last_words = nullptr;
}

void Watchdog::watch() {
  Patience patience(timeout_s_), after_term(timeout_s_);
  std::uint64_t call = 0;
  bool said = false;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, patience.period(), [this] { return end_; })) {
    const bool waits = current.load(std::memory_order_acquire) != nullptr;
    const auto at = calls.load(std::memory_order_relaxed);
    const bool same = waits && at == call;
    call = at;
    const double waited = patience.look(same);
    if (after_term.look(same && *stop_signal_ == SIGTERM) > kPatienceAfterTerm &&
        !std::exchange(said, true)) {
      const std::lock_guard words(last_words_mutex);
      log_warning(what_is_waited_for(waited) + " and was told to end: it may have lost one of them" +
                  last_words());
    }
    if (waited <= timeout_s_) continue;
    char text[128];
    std::snprintf(text, sizeof text, ": one of them is lost, stopped or stuck (parallel.timeout_s = %g)",
                  timeout_s_);
    end_waiting(what_is_waited_for(waited) + text);
  }
}

}  // namespace weightscope
