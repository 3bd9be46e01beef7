#pragma once
#include <algorithm>
#include <chrono>

namespace weightscope {

/// Pauses between attempts at something that fails: a quarter of a second, then twice as long each time, at
/// most half a minute.
class Retry {
 public:
  /// How often something is tried that somebody waits for.
  static constexpr int kLastAttempts = 4;

  std::chrono::milliseconds pause() {
    const auto now = next_;
    next_ = std::min(next_ * 2, std::chrono::milliseconds(30000));
    return now;
  }
  void reset() { *this = {}; }

 private:
  std::chrono::milliseconds next_{250};
};

}  // namespace weightscope
