#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

namespace weightscope::bench {

/// What bench/workers.py says to a worker: a line with a number of repetitions, or the end of the input (0).
inline int next_request() {
  std::string line;
  return std::getline(std::cin, line) ? std::stoi(line) : 0;
}

inline void say_ready() { std::puts("READY"), std::fflush(stdout); }

inline void say_seconds(double seconds) { std::printf("%.9f\n", seconds), std::fflush(stdout); }

/// A worker of one process: ready, then request by request what once() took, in seconds as it returns them.
template <class F>
void answer_requests(F&& once) {
  say_ready();
  for (int count = next_request(); count > 0; count = next_request())
    for (int i = 0; i < count; ++i) say_seconds(once());
}

/// At the end, from a worker that knows it: the most device memory that it had.
inline void say_peak(std::int64_t bytes) {
  if (bytes > 0) std::printf("PEAK %lld\n", static_cast<long long>(bytes)), std::fflush(stdout);
}

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace weightscope::bench
