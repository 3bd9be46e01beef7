#include "train/saver.hpp"

#include <ATen/ATen.h>

#include <chrono>
#include <iterator>

#include "core/error.hpp"
#include "model/weights_io.hpp"

namespace weightscope {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Saver::Saver(const RunConfig& config, const HostComm& host, GradientExchange& exchange,
             const ParamStore& store, const Optimizer& optimizer, Recorder& recorder, bool copies)
    : host_(&host), exchange_(&exchange), store_(&store), optimizer_(&optimizer), recorder_(&recorder) {
  patient_ = config.train.write_errors == OnWriteError::proceed;
  if (!host.is_root()) return;
  if (copies)  // pages are there when training waits for the first copy
    for (auto& copy : copies_) copy = at::zeros(store.master().sizes(), at::TensorOptions(at::kFloat));
  writer_.emplace(config.output,
                  CheckpointWriter::Policy{config.checkpoint.keep, config.checkpoint.keep_every, patient_});
}

CheckpointWriter::Job Saver::job(const CheckpointInfo& info, const at::Tensor& master,
                                 const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq) {
  auto model = named_tensors(*store_, master, "");
  auto first = named_tensors(*store_, exp_avg, "exp_avg.");
  auto second = named_tensors(*store_, exp_avg_sq, "exp_avg_sq.");
  std::move(second.refs.begin(), second.refs.end(), std::back_inserter(first.refs));
  borrowed_.clear();
  for (auto* copies : {&model.copies, &first.copies, &second.copies})
    std::move(copies->begin(), copies->end(), std::back_inserter(borrowed_));
  return {info, std::move(model.refs), std::move(first.refs), {}, {}};
}

void Saver::save(const CheckpointInfo& info, bool last) {
  const auto began = Clock::now();
  const auto exp_avg = exchange_->gathered(optimizer_->exp_avg(), 0),
             exp_avg_sq = exchange_->gathered(optimizer_->exp_avg_sq(), 1);
  host_->together([&] {
    if (!host_->is_root()) return;
    const auto sealed = recorder_->seal();
    if (last) {
      finish();
      sealed.get();
      writer_->write(job(info, store_->master(), exp_avg, exp_avg_sq));
      return recorder_->checkpoint(info.step, seconds_since(began), seconds_since(began));
    }
    writer_->settle();
    poll();
    if (!copies_[0].defined())
      return write_in_place(job(info, store_->master(), exp_avg, exp_avg_sq), sealed);
    copies_[0].copy_(store_->master()), copies_[1].copy_(exp_avg), copies_[2].copy_(exp_avg_sq);
    auto next = job(info, copies_[0], copies_[1], copies_[2]);
    next.record = sealed, next.record_fails = [this] { return recorder_->failing(); };
    writer_->begin(std::move(next));
    stall_ = seconds_since(began);
  });
}

/// Training waits. What cannot be written now is left to the next checkpoint, if errors are to be survived.
void Saver::write_in_place(const CheckpointWriter::Job& job, const std::shared_future<void>& sealed) {
  const auto began = Clock::now();
  if (patient_ && sealed.wait_for(std::chrono::seconds(5)) != std::future_status::ready)
    return;  // the recorder has said why
  sealed.get();
  try {
    writer_->write(job);
  } catch (const Error& e) {
    if (!patient_ || e.fault() != Fault::output) throw;
    return;
  }
  recorder_->checkpoint(job.info.step, seconds_since(began), seconds_since(began));
}

void Saver::note(const CheckpointWriter::Written& written) {
  recorder_->checkpoint(written.step, stall_, written.seconds);
}

void Saver::poll() {
  if (!writer_) return;
  if (const auto written = writer_->poll()) note(*written);
}

void Saver::finish() {
  if (!writer_) return;
  recorder_->flush();
  writer_->finish();
  poll();
}

}  // namespace weightscope
