#include <algorithm>
#include <charconv>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/log.hpp"
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

const std::string kSetAside = "set-aside-";

/// "step-00000600" → 600; nothing for any other name. before: what comes first in the name.
std::optional<std::int64_t> step_of(const std::string& name, const std::string& before = "") {
  const auto prefix = before + "step-";
  if (!name.starts_with(prefix)) return std::nullopt;
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
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

void set_later_aside(const fs::path& run, std::int64_t step) {
  auto later = checkpoint_steps(run);
  std::erase_if(later, [&](std::int64_t s) { return s <= step; });
  if (later.empty()) return;
  write_file_atomically(run / "checkpoints/LATEST",
                        checkpoint_directory(run, step).filename().string() + "\n");
  for (const auto s : later) {
    const auto directory = checkpoint_directory(run, s);
    const auto aside = directory.parent_path() / (kSetAside + directory.filename().string());
    if (is_there(aside)) remove_checkpoint(aside);
    rename_durably(directory, aside);
    log_warning(directory.string() + " is of a later step than this run goes on from: set aside as " +
                aside.filename().string() + ", until there is a newer one");
  }
}

void prune_checkpoints(const fs::path& run, std::int64_t keep, std::int64_t keep_every) {
  remove_leftovers(run);
  auto steps = checkpoint_steps(run);
  for (const auto& path : entries(run / "checkpoints"))
    if (const auto old = step_of(path.filename(), kSetAside); old && !steps.empty() && *old <= steps.back())
      remove_checkpoint(path);
  const auto newest =
      static_cast<std::size_t>(std::max<std::int64_t>(keep, 1));  // LATEST must name one that exists
  if (steps.size() <= newest) return;
  steps.resize(steps.size() - newest);
  for (const auto step : steps)
    if (keep_every <= 0 || step % keep_every != 0) remove_checkpoint(checkpoint_directory(run, step));
}

}  // namespace weightscope
