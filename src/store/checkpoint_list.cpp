#include <algorithm>
#include <charconv>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "store/checkpoint.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> entries(const fs::path& directory) {
  std::error_code failed;
  std::vector<fs::path> found;
  for (fs::directory_iterator at(directory, failed), end; !failed && at != end; at.increment(failed))
    found.push_back(at->path());
  return found;
}

/// "step-00000600" → 600; nothing for any other name.
std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with("step-")) return std::nullopt;
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0) return std::nullopt;
  return step;
}

bool is_leftover(const std::string& name) { return name.starts_with(".tmp-") || name.starts_with(".gone-"); }

/// Out of the list first, then away: a crash in between leaves a leftover, never half a checkpoint.
void remove_checkpoint(const fs::path& directory) {
  const auto gone = directory.parent_path() / (".gone-" + directory.filename().string());
  std::error_code failed;
  fs::remove_all(gone, failed);
  rename_durably(directory, gone);
  fs::remove_all(gone, failed);
  require(!failed, Fault::output, "cannot remove " + gone.string() + ": " + failed.message());
}

}  // namespace

std::vector<std::int64_t> checkpoint_steps(const fs::path& run) {
  std::vector<std::int64_t> steps;
  for (const auto& path : entries(run / "checkpoints"))
    if (const auto step = step_of(path.filename()); step && is_there(path / "manifest.json"))
      steps.push_back(*step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

void remove_leftovers(const fs::path& run) {
  for (const auto& path : entries(run / "checkpoints"))
    if (is_leftover(path.filename())) {
      std::error_code failed;
      fs::remove_all(path, failed);
      require(!failed, Fault::output, "cannot remove " + path.string() + ": " + failed.message());
    }
}

void prune_checkpoints(const fs::path& run, std::int64_t keep, std::int64_t keep_every) {
  remove_leftovers(run);
  auto steps = checkpoint_steps(run);
  const auto newest =
      static_cast<std::size_t>(std::max<std::int64_t>(keep, 1));  // LATEST must name one that exists
  if (steps.size() <= newest) return;
  steps.resize(steps.size() - newest);
  for (const auto step : steps)
    if (keep_every <= 0 || step % keep_every != 0) remove_checkpoint(checkpoint_directory(run, step));
}

}  // namespace weightscope
