#include "train/trainer.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "config/config.hpp"
#include "core/crash.hpp"
#include "core/fault_point.hpp"
#include "core/file_io.hpp"
#include "core/log.hpp"
#include "model/device.hpp"
#include "model/memory_plan.hpp"
#include "train/cadence.hpp"
#include "train/evaluator.hpp"
#include "train/memory_use.hpp"
#include "train/probe.hpp"
#include "train/spectra.hpp"

namespace weightscope {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Updates that train.nonfinite = skip leaves out in a row before it gives up: more than an accident.
constexpr int kMostSkipped = 10;

/// What tests do to attention in the last block: the first `parts` of q, k, v of its first `heads`.
void scale_attention(const ParamStore& store, const ModelConfig& model, int parts, int heads, float factor) {
  const auto& p = store.find("h." + std::to_string(model.layers - 1) + ".attn.c_attn.weight");
  const auto thirds = ParamStore::view(store.master(), p).view({3, model.heads, -1});
  thirds.narrow(0, 0, parts).narrow(1, 0, heads).mul_(factor);
}

/// Thrown on all ranks when the state has to be that of an earlier step.
struct RollBack {
  AlarmRow alarm;
};

}  // namespace

double Trainer::wall_time() const { return earlier_seconds_ + seconds_since(start_); }
double Trainer::tokens_of(std::int64_t step) const {
  return static_cast<double>(step * config_.train.global_batch * config_.model.block);
}
double Trainer::epoch_of(std::int64_t step) const {
  return sampler_->epoch_of(static_cast<std::uint64_t>(step * config_.train.global_batch));
}

std::string Trainer::last_checkpoint_text() const {
  const auto steps = checkpoint_steps(run_);
  return steps.empty() ? "; no checkpoint was written yet"
                       : "; last good checkpoint: " + checkpoint_directory(run_, steps.back()).string();
}

RunStatus Trainer::run() {
  return host_->alone_ends_all([&] { return train(); });
}

RunStatus Trainer::train() {
  progress_.emplace(host_->is_root() ? options_.progress : ProgressMode::none, first_step_,
                    config_.train.steps);
  RunStatus status;
  std::int64_t done = first_step_;
  try {
    if (done == 0) {
      evaluate_at(0);
      if (config_.monitor.probe_every > 0) probe_at(0);
      if (config_.monitor.spectra_every > 0) spectra_at(0);
      snapshot_at(0, {});
    }
    while (done < config_.train.steps) {
      train_step(done++);
      // Any rank may be the one that was told to stop: all of them leave at the same step.
      const bool leave = alarm_stops_ || *options_.stop_signal != 0 ||
                         limit_.reached(TimeLimit::Clock::now(), step_seconds_);
      if (host_->max(std::int64_t{leave ? 1 : 0}) == 0 || done == config_.train.steps) continue;
      settle();
      checkpoint_at(done, true);
      status.status = "stopped";
      break;
    }
    recorder_->finish_snapshot();
    host_->together([&] { saver_->finish(); });
  } catch (const RollBack& back) {
    progress_->pause();
    return roll_back(back.alarm);
  } catch (const Error& e) {
    progress_->pause();
    if (e.scope() == Error::Scope::everywhere) recorder_->close("failed", seconds_since(start_));
    throw;
  } catch (const std::exception&) {
    progress_->pause();
    throw;
  }
  progress_->pause();
  note_memory(done);
  host_->together([&] {
    recorder_->close(status.status, seconds_since(start_));
    for (const auto& line : recorder_->differences())
      log_warning("recomputed rows differ from the earlier attempt: " + line);
  });
  status.step = done, status.val_loss = val_loss_, status.by_alarm = alarm_stops_;
  return status;
}

void Trainer::note_memory(std::int64_t done) {
  const auto planned = total_bytes(plan_memory(config_, host_->size()));
  const auto measured =
      host_->max(place_.place == Place::cuda ? peak_device_bytes(place_.index)
                                             : peak_resident_bytes() - program_bytes() - start_bytes_);
  host_->together([&] { recorder_->memory(done, planned, measured); });
}

void Trainer::train_step(std::int64_t step) {
  note_step(step);
  const auto start = std::chrono::steady_clock::now();
  if (step_->overlaps()) recorder_->wait_before_writing(current_stream(place_.index));
  step_->begin(step, loader_->next(), snapshot_due(config_, step + 1, sampler_->blocks()));
  if (begun_)
    settle();  // of the step before, which was still under way on the GPU
  else
    step_start_ = start;
  begun_ = step;
  if (step_->overlaps() && !something_due(step + 1)) return;
  after_update(step + 1, settle());
}

StepResult Trainer::settle() {
  recorder_->finish_snapshot();  // before the rows that come after it
  if (!begun_) return {};
  const std::int64_t step = *begun_;
  begun_.reset();
  const auto result = step_->end(step);
  const double seconds = seconds_since(step_start_);
  step_start_ = std::chrono::steady_clock::now();
  const bool finite = std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  skipped_ = finite ? 0 : skipped_ + 1;
  if (!finite) note_nonfinite(step, result);
  damage_for_test(step + 1);
  host_->together([&] {
    const double rate = tokens_of(1) / seconds;
    recorder_->add(TrainRow{step, result.loss, result.lr, result.grad_norm, rate, seconds});
    progress_->update(step + 1, result.loss, rate);
    saver_->poll();
  });
  step_seconds_ = seconds;
  return result;
}

bool Trainer::something_due(std::int64_t done) const {
  const auto& m = config_.monitor;
  const std::int64_t last = config_.train.steps;
  for (const auto every :
       {m.replicas_every, config_.eval.every, m.probe_every, m.spectra_every, config_.checkpoint.every})
    if (due(every, done, last)) return true;
  return done == last || snapshot_due(config_, done, sampler_->blocks()) || any_acts_on_updates(m.alarms);
}

void Trainer::after_update(std::int64_t done, const StepResult& result) {
  const std::int64_t last = config_.train.steps;
  if (due(config_.monitor.replicas_every, done, last)) check_replicas(done);
  if (due(config_.eval.every, done, last)) evaluate_at(done);
  if (due(config_.monitor.probe_every, done, last)) probe_at(done);
  if (due(config_.monitor.spectra_every, done, last)) spectra_at(done);
  if (snapshot_due(config_, done, sampler_->blocks())) snapshot_at(done, result);
  if (any_acts(config_.monitor.alarms)) recorder_->finish_snapshot();
  const auto alarm = any_acts(config_.monitor.alarms) ? recorder_->alarm_action() : AlarmAction::record;
  alarm_stops_ = alarm == AlarmAction::stop;
  if (due(config_.checkpoint.every, done, last) || alarm == AlarmAction::checkpoint)
    checkpoint_at(done, done == last);
}

void Trainer::evaluate_at(std::int64_t done) {
  if (!val_file_ || config_.eval.every == 0) return;
  exchange_->await_weights();
  const auto result = evaluate(*host_, *gpt_, *store_, *val_file_,
                               config_.eval.batches * config_.train.global_batch, config_.train.micro_batch);
  val_loss_ = result.loss;
  host_->together([&] {
    recorder_->add(EvalRow{done, result.loss});
    if (!host_->is_root() || options_.progress == ProgressMode::none) return;
    progress_->pause();
    char text[64];
    std::snprintf(text, sizeof text, "step %ld  val loss %.4f", static_cast<long>(done), result.loss);
    log_info(text);
  });
}

void Trainer::probe_at(std::int64_t done) {
  exchange_->await_weights();
  auto row = probe(*host_, *gpt_, *store_, *val_file_, config_.monitor.probe_blocks);
  row.step = done;
  host_->together([&] { recorder_->add(row); });
}

void Trainer::spectra_at(std::int64_t done) {
  exchange_->await_weights();
  auto row = spectra(*host_, *store_, config_.model);
  row.step = done;
  host_->together([&] { recorder_->add(row); });
}

void Trainer::snapshot_at(std::int64_t done, const StepResult& last) {
  fault_point("snapshot", host_->rank(), done);
  exchange_->await_weights();
  recorder_->begin_snapshot(done, epoch_of(done), tokens_of(done), wall_time(), last);
  if (!step_->overlaps()) recorder_->finish_snapshot();  // on a GPU it is measured beside the next step
}

void Trainer::checkpoint_at(std::int64_t done, bool last) {
  fault_point("checkpoint", host_->rank(), done);
  exchange_->await_weights();
  recorder_->finish_snapshot();
  CheckpointInfo info;
  info.step = done, info.seed = config_.seed, info.tokens = tokens_of(done), info.epoch = epoch_of(done),
  info.wall_time = wall_time();
  info.world_size = host_->size();
  info.config_yaml = to_yaml(config_), info.config_fingerprint = resume_fingerprint(config_);
  info.tokenizer = tokenizer_;
  saver_->save(info, last);
}

void Trainer::note_nonfinite(std::int64_t step, const StepResult& result) {
  // A flipped bit of one replica may show here before replicas are compared.
  const bool repaired = check_replicas(step);
  const bool loss = !std::isfinite(result.loss);
  const bool skip = repaired || config_.train.nonfinite == OnNonfinite::skip;
  const bool seen = std::any_of(options_.undone.begin(), options_.undone.end(),
                                [&](const AlarmRow& alarm) { return alarm.step == step; });
  const bool back = config_.train.nonfinite == OnNonfinite::rollback && !seen && !repaired;
  const bool give_up = !back && (!skip || skipped_ > kMostSkipped);
  std::string message =
      std::string(loss ? "loss" : "gradient norm") + " is not finite at step " + std::to_string(step);
  if (seen) message += ", once more after it was computed again";
  if (skip && give_up) message += ", after " + std::to_string(kMostSkipped) + " updates left out in a row";
  if (give_up || back) finish_checkpoints();
  message += give_up ? " (a lower optimizer.lr or longer warm-up may help)" + last_checkpoint_text()
             : back  ? "; back to step " + std::to_string(newest_checkpoint())
                     : "; its update is left out";
  const AlarmRow alarm{step,
                       "nonfinite",
                       give_up ? "error" : "warning",
                       loss ? "loss" : "grad_norm",
                       loss ? result.loss : result.grad_norm,
                       0,
                       message};
  host_->together([&] {
    recorder_->add(alarm);
    if (!give_up && host_->is_root()) log_warning(message);
  });
  if (back) throw RollBack{alarm};
  if (give_up) throw Error(Fault::numeric, message, Error::Scope::everywhere);
}

RunStatus Trainer::roll_back(const AlarmRow& alarm) {
  host_->together([&] {
    if (config_.train.write_errors == OnWriteError::abort) saver_->finish();  // else it comes once more
    recorder_->close(kRolledBack, seconds_since(start_));
  });
  return {kRolledBack, newest_checkpoint(), val_loss_, alarm};
}

std::int64_t Trainer::newest_checkpoint() const {
  const auto steps = host_->is_root() ? checkpoint_steps(run_) : std::vector<std::int64_t>{};
  return host_->max(steps.empty() ? std::int64_t{0} : steps.back());
}

void Trainer::finish_checkpoints() {
  try {
    saver_->finish();
  } catch (const Error& e) {
    log_warning(e.what());
  }
}

void Trainer::damage_for_test(std::int64_t done) {
  if (!kFaultPoints) return;
  const auto damage = [&](const std::string& prefix, const at::Tensor& flat) {
    if (exchange_->shares_memory() || flat.numel() < store_->size()) return;  // no second copy to differ from
    for (const auto& p : store_->parameters())
      if (const auto flip = bit_to_flip(prefix + p.name, host_->rank(), done))
        static_cast<std::uint32_t*>(ParamStore::view(flat, p).data_ptr())[flip->element] ^= 1U << flip->bit;
  };
  damage("", store_->master());
  damage("exp_avg.", optimizer_->exp_avg());
  damage("exp_avg_sq.", optimizer_->exp_avg_sq());
  const auto scale = [&](int parts, int heads, float factor) {
    if (!exchange_->shares_memory()) scale_attention(*store_, config_.model, parts, heads, factor);
  };
  if (faulty_from("head", done)) scale(3, 1, 0);
  if (fault_point("head", host_->rank(), done)) scale(3, 1, 6);
  if (fault_point("logits", host_->rank(), done)) scale(2, config_.model.heads, 10);
  if (fault_point("collective", host_->rank(), done)) host_->barrier();  // which no other rank calls
}

}  // namespace weightscope
