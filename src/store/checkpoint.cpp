#include "store/checkpoint.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "store/manifest.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

void remove_tree(const fs::path& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  require(!failed, Fault::output, "cannot remove " + path.string() + ": " + failed.message());
}

/// A finished checkpoint under `temporary`, checked by reading it back.
void write_files(const fs::path& temporary, const CheckpointInfo& info, std::span<const TensorRef> model,
                 std::span<const TensorRef> optimizer) {
  remove_tree(temporary);
  make_directories(temporary);
  Manifest manifest{info, {}};
  const auto add = [&](const char* name, std::span<const TensorRef> tensors) {
    const auto written = write_safetensors(temporary / name, tensors, {{"format", "pt"}});
    try {
      verify_file(Safetensors::open(temporary / name), written, Fault::output);
    } catch (const Error& e) {
      throw Error(Fault::output, std::string("what was written cannot be read back: ") + e.what());
    }
    manifest.files[name] = written;
  };
  add(kModelFile, model);
  if (!optimizer.empty()) add(kOptimizerFile, optimizer);
  write_manifest(temporary, manifest);
}

/// Gives `temporary` its final name. A checkpoint that has it already is replaced in one step where the file
/// system can exchange two names.
void publish(const fs::path& temporary, const fs::path& directory) {
  if (fs::exists(directory)) {
    if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, directory.c_str(), RENAME_EXCHANGE) == 0) {
      sync_path(directory.parent_path());
      remove_tree(temporary);
      return;
    }
    const fs::path old = temporary.string() + ".old";
    remove_tree(old);
    rename_durably(directory, old);
    rename_durably(temporary, directory);
    remove_tree(old);
    return;
  }
  rename_durably(temporary, directory);
}

}  // namespace

fs::path checkpoint_directory(const fs::path& run, std::int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  return run / "checkpoints" / name;
}

fs::path write_checkpoint(const fs::path& run, const CheckpointInfo& info, std::span<const TensorRef> model,
                          std::span<const TensorRef> optimizer, const std::function<void()>& before_publish) {
  const auto directory = checkpoint_directory(run, info.step);
  write_checkpoint_at(directory, info, model, optimizer, before_publish);
  write_file_atomically(directory.parent_path() / "LATEST", directory.filename().string() + "\n");
  return directory;
}

void write_checkpoint_at(const fs::path& directory, const CheckpointInfo& info,
                         std::span<const TensorRef> model, std::span<const TensorRef> optimizer,
                         const std::function<void()>& before_publish) {
  const auto whole = fs::absolute(directory).lexically_normal();
  const auto target = whole.has_filename() ? whole : whole.parent_path();
  const auto temporary = target.parent_path() / (".tmp-" + target.filename().string());
  try {
    write_files(temporary, info, model, optimizer);
    if (before_publish) before_publish();
    publish(temporary, target);
  } catch (...) {  // a full disk has better uses for half a checkpoint
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

Checkpoint open_checkpoint(const fs::path& directory) {
  const auto manifest = read_manifest(directory);
  const auto open = [&](const char* name) {
    auto file = Safetensors::open(directory / name);
    verify_file(file, manifest.files.at(name), Fault::input);
    return file;
  };
  require(manifest.files.contains(kModelFile), Fault::input,
          directory.string() + " holds no model.safetensors");
  Checkpoint checkpoint{directory, manifest.info, open(kModelFile), std::nullopt};
  if (manifest.files.contains(kOptimizerFile)) checkpoint.optimizer = open(kOptimizerFile);
  return checkpoint;
}

}  // namespace weightscope
