#pragma once
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "store/checkpoint.hpp"

namespace weightscope {

/// Puts the checkpoints of a run on disk, in the caller's time or beside it, and prunes old ones.
///
/// What cannot be written ends as Error{output}, or, when `patient`, is tried again later: once with a
/// warning, then silently, with longer and longer pauses. What is on disk already stays as it is. Not
/// thread-safe; one instance a run.
class CheckpointWriter {
 public:
  struct Policy {
    std::int64_t keep = 2, keep_every = 0;  ///< see prune_checkpoints
    bool patient = false;
  };
  struct Job {
    CheckpointInfo info;
    std::vector<TensorRef> model, optimizer;  ///< their memory is borrowed until settle() or finish()
    std::shared_future<void> record;          ///< the rows before this step are on disk; may be invalid
    std::function<bool()> record_fails;       ///< they cannot be written for now
  };
  /// A checkpoint that is on disk, and how long that took.
  struct Written {
    std::int64_t step = 0;
    double seconds = 0;
  };

  /// Removes what earlier jobs left half written or half removed.
  CheckpointWriter(std::filesystem::path run, Policy policy);
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  ~CheckpointWriter();  ///< what was begun gets its one attempt; nothing is tried again

  /// In the caller's time. When patient, a few attempts within seconds before it throws.
  void write(const Job& job);
  /// By a thread, from now on. Call settle() first.
  void begin(Job job);
  /// When this returns no borrowed memory is read any more: the attempt that runs is through, and what would
  /// have been tried again is given up, for a newer checkpoint. Throws what failed when not patient.
  void settle();
  /// Until what was begun is on disk. When patient, throws after a few more attempts.
  void finish();
  /// Throws what the thread met; otherwise what it has finished since the last call.
  std::optional<Written> poll();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope
