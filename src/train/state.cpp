#include "train/state.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "config/config.hpp"
#include "core/file_io.hpp"
#include "core/log.hpp"
#include "model/weights_io.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {
namespace {

void refuse_conflicts(const RunConfig& before, const RunConfig& config, const std::string& what) {
  const auto conflicts = resume_conflicts(before, config);
  if (conflicts.empty()) return;
  std::string text = what +
                     " cannot continue with this configuration (the run would no longer be one experiment); "
                     "give another --output";
  for (const auto& line : conflicts) text += "\n  " + line;
  throw Error(Fault::input, text);
}

/// A run that is begun again, because it was stopped before its first checkpoint or only initialized, keeps
/// its record, so it has to be the same.
void refuse_another_record(const std::filesystem::path& record, const RunConfig& config) {
  auto before = parse_stored_config(recorded_config(record), record.string());
  if (before.data.train.empty()) before.data = config.data;  // of weightscope init, which needs none
  refuse_conflicts(before, config, record.string());
}

/// The newest checkpoint of `steps` that can be read; with `strict` the newest or none.
std::optional<Checkpoint> newest_readable(const std::filesystem::path& run, std::vector<std::int64_t> steps,
                                          bool strict) {
  for (; !steps.empty(); steps.pop_back()) {
    try {
      auto checkpoint = open_checkpoint(checkpoint_directory(run, steps.back()));
      require(
          checkpoint.info.step == steps.back(), Fault::input,
          checkpoint.directory.string() + " holds the state of step " + std::to_string(checkpoint.info.step));
      require(checkpoint.optimizer.has_value(), Fault::input,
              checkpoint.directory.string() + " holds no optimizer state");
      return checkpoint;
    } catch (const Error& e) {
      if (strict || steps.size() == 1) throw;
      log_warning(std::string(e.what()) + "; using the checkpoint before it");
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Checkpoint> choose_checkpoint(const std::filesystem::path& run, const RunConfig& config,
                                            const Resume& resume) {
  auto steps = checkpoint_steps(run);
  if (resume.mode == Resume::Mode::never) {
    require(steps.empty() && !std::filesystem::exists(run / "experiment.h5"), Fault::config,
            run.string() +
                " already holds a run (--resume never would overwrite it); give another --output or use "
                "--resume auto");
    return std::nullopt;
  }
  if (resume.mode == Resume::Mode::step) {
    require(std::find(steps.begin(), steps.end(), resume.step) != steps.end(), Fault::input,
            run.string() + " has no checkpoint of step " + std::to_string(resume.step));
    steps = {resume.step};
  }
  const bool strict = resume.mode != Resume::Mode::automatic;
  require(!strict || !steps.empty(), Fault::input,
          run.string() + " has no checkpoint (--resume must asks for one)");
  auto checkpoint = newest_readable(run, steps, strict);
  const auto record = run / "experiment.h5";
  if (checkpoint) {
    refuse_conflicts(
        parse_stored_config(checkpoint->info.config_yaml, (checkpoint->directory / "manifest.json").string()),
        config, checkpoint->directory.string());
    if (!is_there(record))
      log_warning(record.string() + " is gone: a new record begins at step " +
                  std::to_string(checkpoint->info.step) + ", and nothing before it is recorded");
  } else if (is_there(record)) {
    refuse_another_record(record, config);
  }
  return checkpoint;
}

void load_state(const HostComm& host, TensorComm& comm, const std::optional<Checkpoint>& checkpoint,
                const ParamStore& store, GradientExchange& exchange, Optimizer& optimizer) {
  host.together([&] {
    if (host.is_root()) load_flat(checkpoint->model, "", store, store.master());
  });
  exchange.broadcast_weights();
  // The gradient buffer is free at this point: each moment passes through it to all ranks, which keep their
  // part.
  for (const auto& [prefix, target] :
       {std::pair{"exp_avg.", optimizer.exp_avg()}, std::pair{"exp_avg_sq.", optimizer.exp_avg_sq()}}) {
    at::Tensor(store.grad()).zero_();
    host.together([&] {
      if (host.is_root()) load_flat(*checkpoint->optimizer, prefix, store, store.grad());
    });
    const auto whole = buffer_of(store.grad());
    comm.broadcast(whole);
    comm.wait(whole.stream);
    at::Tensor(target).copy_(optimizer.shard().of(store.grad()));
  }
}

}  // namespace weightscope
