#pragma once
#include <filesystem>

namespace weightscope {

/// An exclusive flock on DIR/.lock, held until destruction. Creates DIR. Rank 0 only.
class RunLock {
 public:
  /// Error{busy} naming the holder's host and pid when another live job has it; Error{output} when DIR cannot
  /// be written.
  static RunLock acquire(const std::filesystem::path& directory);
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;
  ~RunLock();

 private:
  explicit RunLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace weightscope
