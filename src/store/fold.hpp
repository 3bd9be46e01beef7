#pragma once
#include <functional>
#include <optional>
#include <string>

#include "store/layout.hpp"
#include "store/run_files.hpp"

namespace weightscope {

/// What a fold adds to the sealed file besides the tail, and what it changes there.
struct FoldRequest {
  const RunFiles& files;
  const ExperimentHeader& header;
  const Identity& identity;
  const Rows& pending;                ///< rows after those of the tail
  std::optional<SegmentRow> segment;  ///< replaces the last row of /segments
  std::string status = "running";
};

/// Folds the tail into experiment.h5: copy, append, close, reopen, read back, fsync, rename; then the tail
/// files go. A tail file whose snapshot is in the sealed file already (a crash came between the rename and
/// its removal) is only removed. At every moment sealed file and tail together hold every row.
/// published: called once that is so, after which the pending rows must not be given again; what fails from
/// then on can be done by the next fold.
void fold(
    const FoldRequest& request, const std::function<void()>& published = [] {});

/// The steps of a fold, in order, so that tests can stop between any two of them.
namespace fold_steps {
/// Tail files with rows that the sealed file does not have yet.
std::vector<std::filesystem::path> missing_tail_files(const FoldRequest& request);
void write_temporary(const FoldRequest& request, const std::vector<std::filesystem::path>& tail);
void verify_temporary(const FoldRequest& request, const std::vector<std::filesystem::path>& tail);
void publish_temporary(
    const RunFiles& files, const std::function<void()>& published = [] {});
void remove_tail(const RunFiles& files, const std::vector<std::filesystem::path>& tail);
}  // namespace fold_steps

}  // namespace weightscope
