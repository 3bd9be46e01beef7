#include "train/state.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "config/config.hpp"
#include "core/log.hpp"
#include "model/weights_io.hpp"

namespace weightscope {
namespace {

void refuse_conflicts(const Checkpoint& checkpoint, const RunConfig& config) {
  const auto before =
      parse_config(checkpoint.info.config_yaml, (checkpoint.directory / "manifest.json").string());
  const auto conflicts = resume_conflicts(before, config);
  if (conflicts.empty()) return;
  std::string text = checkpoint.directory.string() +
                     " cannot continue with this configuration (the run would no longer be one experiment); "
                     "give another --output";
  for (const auto& line : conflicts) text += "\n  " + line;
  throw Error(Fault::input, text);
}

/// The newest checkpoint of `steps` that can be read; with `strict` the newest or none.
std::optional<Checkpoint> newest_readable(const std::filesystem::path& run, std::vector<std::int64_t> steps,
                                          bool strict) {
  for (; !steps.empty(); steps.pop_back()) {
    try {
      auto checkpoint = open_checkpoint(checkpoint_directory(run, steps.back()));
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

/// A full-size buffer with all shards of `part` in place, the gradient buffer or a new one.
at::Tensor gathered(TensorComm& comm, const Optimizer& optimizer, const at::Tensor& part, at::Tensor whole) {
  if (!optimizer.sharded()) return part;
  auto mine = whole.narrow(0, optimizer.begin(), optimizer.end() - optimizer.begin());
  mine.copy_(part);
  const auto buffer = buffer_of(whole);
  comm.all_gather(buffer_of(mine), buffer);
  comm.wait(buffer.stream);
  return whole;
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
  if (checkpoint) refuse_conflicts(*checkpoint, config);
  return checkpoint;
}

void load_state(const HostComm& host, TensorComm& comm, const std::optional<Checkpoint>& checkpoint,
                const ParamStore& store, Optimizer& optimizer) {
  // The gradient buffer is free at this point: each moment passes through it to all ranks, which keep their
  // part.
  const auto spread = [&](const Safetensors* file, const std::string& prefix, const at::Tensor& through) {
    host.together([&] {
      if (host.is_root()) load_flat(*file, prefix, store, through);
    });
    const auto buffer = buffer_of(through);
    comm.broadcast(buffer);
    comm.wait(buffer.stream);
  };
  const auto* model = host.is_root() ? &checkpoint->model : nullptr;
  const auto* moments = host.is_root() ? &*checkpoint->optimizer : nullptr;
  spread(model, "", store.master());
  store.refresh_work();
  for (const auto& [prefix, target] :
       {std::pair{"exp_avg.", optimizer.exp_avg()}, std::pair{"exp_avg_sq.", optimizer.exp_avg_sq()}}) {
    at::Tensor(store.grad()).zero_();
    spread(moments, prefix, store.grad());
    at::Tensor(target).copy_(store.grad().narrow(0, optimizer.begin(), optimizer.end() - optimizer.begin()));
  }
}

void save_state(const HostComm& host, TensorComm& comm, const std::filesystem::path& run,
                const RunConfig& config, const CheckpointInfo& info, const ParamStore& store,
                const Optimizer& optimizer) {
  const auto spare = optimizer.sharded() ? at::empty_like(store.grad()) : at::Tensor();
  const auto first = gathered(comm, optimizer, optimizer.exp_avg(), store.grad());
  const auto second = gathered(comm, optimizer, optimizer.exp_avg_sq(), spare);
  host.together([&] {
    if (!host.is_root()) return;
    const auto model = named_tensors(store, store.master(), "");
    auto moments = named_tensors(store, first, "exp_avg.");
    const auto squares = named_tensors(store, second, "exp_avg_sq.");
    moments.refs.insert(moments.refs.end(), squares.refs.begin(), squares.refs.end());
    write_checkpoint(run, info, model.refs, moments.refs);
    prune_checkpoints(run, config.checkpoint.keep, config.checkpoint.keep_every);
  });
}

}  // namespace weightscope
