#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/safetensors.hpp"

namespace weightscope {

/// manifest.json of a checkpoint besides sizes and CRC-32Cs of its files, which write and open take care of.
struct CheckpointInfo {
  std::int64_t step = 0;  ///< updates done; the next batch is that of this step
  std::uint64_t seed = 0;
  double tokens = 0, epoch = 0, wall_time = 0;
  int world_size = 1;
  std::string config_yaml;         ///< resolved
  std::string config_fingerprint;  ///< of what must not change on resume (model, optimizer, data order, seed,
                                   ///< precision)
  std::string tokenizer;           ///< meta.json of the training data as text, or ""
};

struct Checkpoint {
  std::filesystem::path directory;
  CheckpointInfo info;
  Safetensors model;
  std::optional<Safetensors> optimizer;  ///< "exp_avg.NAME" and "exp_avg_sq.NAME"; absent in imported models
};

/// RUN/checkpoints/step-00000600/{model,optimizer}.safetensors, manifest.json: written to a temporary
/// directory, every file fsynced and read back against its CRC, then renamed; LATEST updated last.
/// before_publish is called before the renaming. Returns the directory. Error{output}: nothing is left
/// behind.
std::filesystem::path write_checkpoint(const std::filesystem::path& run, const CheckpointInfo& info,
                                       std::span<const TensorRef> model, std::span<const TensorRef> optimizer,
                                       const std::function<void()>& before_publish = {});
/// The same layout at `directory` itself (`weightscope import -o`); optimizer may be empty.
void write_checkpoint_at(const std::filesystem::path& directory, const CheckpointInfo& info,
                         std::span<const TensorRef> model, std::span<const TensorRef> optimizer,
                         const std::function<void()>& before_publish = {});

/// Opens and verifies sizes and CRCs. Error{input} naming the file that is damaged or missing.
Checkpoint open_checkpoint(const std::filesystem::path& directory);

/// Steps of complete checkpoints of a run, ascending. Leftover temporary directories are not listed.
std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& run);
std::filesystem::path checkpoint_directory(const std::filesystem::path& run, std::int64_t step);

/// Removes what earlier jobs left behind when they were killed while writing or removing a checkpoint.
void remove_leftovers(const std::filesystem::path& run);
/// Whoever goes back to `step` leaves the steps after it behind, also for the next job, which would otherwise
/// go on from a checkpoint beyond what is recorded. Checkpoints of later steps get another name, and go when
/// there is a newer one than they are.
void set_later_aside(const std::filesystem::path& run, std::int64_t step);
/// Removes leftovers and all but the newest `keep` (at least 1) and every multiple of `keep_every` (0: none).
void prune_checkpoints(const std::filesystem::path& run, std::int64_t keep, std::int64_t keep_every);

}  // namespace weightscope
