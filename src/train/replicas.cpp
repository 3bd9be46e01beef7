// Trainer: replicas are compared, and repaired when that is wanted.
#include <ATen/ATen.h>

#include <iterator>

#include "core/log.hpp"
#include "model/slices.hpp"
#include "train/trainer.hpp"

namespace weightscope {
namespace {

std::string ranks_text(const std::vector<int>& ranks) {
  std::string text;
  for (const int rank : ranks) text += (text.empty() ? "" : ", ") + std::to_string(rank);
  return text;
}

}  // namespace

/// Weights, and the moments where every rank has all of them. Elsewhere a moment that differs between nodes
/// shows in the weights that it moves.
std::vector<WeightSlice> Trainer::replicated_state() const {
  auto replicated = whole_parameters(*store_, store_->master());
  const auto add = [&](const at::Tensor& moment, const char* prefix) {
    auto slices = whole_parameters(*store_, moment, prefix);
    std::move(slices.begin(), slices.end(), std::back_inserter(replicated));
  };
  const bool part = optimizer_->shard().size() < store_->master().numel();
  if (host_->max(std::int64_t{part ? 1 : 0}) == 0)
    add(optimizer_->exp_avg(), "exp_avg."), add(optimizer_->exp_avg_sq(), "exp_avg_sq.");
  return replicated;
}

bool Trainer::check_replicas(std::int64_t step) {
  if (host_->size() == 1) return false;
  exchange_->await_weights();
  const auto difference = compare_replicas(*host_, replicated_state());
  if (!difference) return false;
  // At the start nothing can have aged: then the exchange itself is at fault. And when all others agree
  // against rank 0, rank 0 is the one not to copy.
  const auto others = static_cast<std::size_t>(host_->size() - 1);
  const bool all_others = others > 1 && difference->ranks.size() == others;
  if (config_.monitor.replicas == OnDivergence::repair && recorder_ && !all_others) {
    repair_replicas(step, *difference);
    return true;
  }
  if (saver_) finish_checkpoints();
  throw Error(Fault::diverged,
              "replicas differ at step " + std::to_string(step) + ": " + difference->parameter + " on rank " +
                  ranks_text(difference->ranks) + " is not what rank 0 has" +
                  (all_others ? " (rank 0 stands alone: its node may be the faulty one)" : "") +
                  last_checkpoint_text(),
              Error::Scope::everywhere);
}

void Trainer::repair_replicas(std::int64_t step, const Divergence& difference) {
  exchange_->broadcast_weights();
  exchange_->broadcast_shards(optimizer_->exp_avg(), 0);
  exchange_->broadcast_shards(optimizer_->exp_avg_sq(), 1);
  const auto left = compare_replicas(*host_, replicated_state());
  const std::string message = "replicas differ at step " + std::to_string(step) + ": " +
                              difference.parameter + " on rank " + ranks_text(difference.ranks) +
                              " is not what rank 0 has" +
                              (left ? ", nor was it after all ranks were given rank 0's state"
                                    : "; all ranks were given rank 0's state");
  host_->together([&] {
    recorder_->add(AlarmRow{step, "replicas", left ? "error" : "warning", difference.parameter,
                            static_cast<double>(difference.ranks.size()), 0, message});
    if (!left && host_->is_root()) log_warning(message);
  });
  if (left) throw Error(Fault::diverged, message + last_checkpoint_text(), Error::Scope::everywhere);
}

}  // namespace weightscope
