#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace weightscope {

/// Stands at every blocking MPI call: what this rank waits for, from when on. One at a time, on the thread
/// that talks to MPI.
class Wait {
 public:
  Wait(const char* operation, std::int64_t bytes);
  ~Wait();
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
};

/// How long something has lasted, looked at again and again; time during which this process was itself
/// stopped (suspended by the scheduler, say) does not count.
class Patience {
 public:
  using Seconds = std::chrono::duration<double>;
  explicit Patience(double timeout_s);
  Seconds period() const { return period_; }  ///< from look to look
  /// Seconds so far. goes_on: it is still the same wait as at the last look.
  double look(bool goes_on);

 private:
  Seconds period_;
  std::chrono::steady_clock::time_point before_;
  double waited_ = 0;
};

/// Says `what` and the last words of the watchdog that lives, leaves the other ranks time to speak, and ends
/// the job with code 9. Any thread.
[[noreturn]] void end_waiting(const std::string& what);

/// While it lives, a thread looks whether a blocking call takes longer than `timeout_s`: a peer was stopped,
/// hangs, or lost its way. Then every waiting rank says what it waits for and the job ends with code 9.
///
/// A launcher that has lost a rank sends TERM to the others, which then wait in vain until they are killed, a
/// second later: they say where, since the lost one cannot.
class Watchdog {
 public:
  /// stop_signal: the last signal that asked this rank to stop, 0 for none. last_words: ends each message,
  /// called on the watching thread, or that of another who ends waiting. One watchdog at a time.
  Watchdog(double timeout_s, const std::atomic<int>& stop_signal, std::function<std::string()> last_words);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void watch();

  double timeout_s_;
  const std::atomic<int>* stop_signal_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace weightscope
