#include "train/recorder.hpp"

#include <cmath>
#include <limits>

#include "core/file_io.hpp"
#include "core/log.hpp"

namespace weightscope {

Recorder::Recorder(const HostComm& host, std::vector<WeightSlice> slices, SnapshotShape shape)
    : host_(&host), slices_(std::move(slices)), taker_(host, slices_, shape) {}

void Recorder::open(ExperimentFile file, const std::filesystem::path& run, std::int64_t step, bool patient) {
  log_ = std::make_unique<RunLog>(run, step, patient);
  writer_.emplace(std::move(file), patient);
}

void Recorder::add(const TrainRow& row) {
  if (!writer_) return;
  writer_->add(row);
  log_->write(row);
  if (alarms_) raise(alarms_->see(row));
}

void Recorder::add(const EvalRow& row) {
  if (!writer_) return;
  writer_->add(row);
  log_->write(row);
}

void Recorder::add(const ProbeRow& row) {
  if (!writer_) return;
  writer_->add(row);
  log_->write(row);
  if (alarms_) raise(alarms_->see(row));
}

void Recorder::add(const SpectraRow& row) {
  if (writer_) writer_->add(row);
}

void Recorder::add(const AlarmRow& row) {
  if (!writer_) return;
  writer_->add(row);
  log_->write(row);
}

void Recorder::raise(const std::vector<AlarmRow>& alarms) {
  for (const auto& alarm : alarms) add(alarm);
  if (alarms.empty()) return;
  const auto& first = alarms.front();
  const auto more = alarms.size() - 1;
  log_warning("alarm after step " + std::to_string(first.step) + ": " + first.rule + ", " + first.target +
              ": " + first.message + (more > 0 ? "; and " + std::to_string(more) + " more" : ""));
}

AlarmAction Recorder::alarm_action() {
  const auto mine = alarms_ ? alarms_->take_action() : AlarmAction::record;
  return static_cast<AlarmAction>(host_->max(static_cast<std::int64_t>(mine)));
}

void Recorder::begin_segment(const SegmentRow& row) {
  if (writer_) writer_->begin_segment(row);
}

void Recorder::note(const std::string& event, std::int64_t step, const std::string& text) {
  if (log_) log_->note(event, step, text);
}

void Recorder::memory(std::int64_t step, std::int64_t planned_bytes, std::int64_t measured_bytes) {
  if (log_) log_->memory(step, planned_bytes, measured_bytes);
}

void Recorder::begin_snapshot(std::int64_t step, double epoch, double tokens, double wall_time,
                              const StepResult& last) {
  finish_snapshot();
  taker_.start();
  begun_ = {};
  begun_.step = step, begun_.epoch = epoch, begun_.tokens = tokens, begun_.wall_time = wall_time;
  begun_.gradient_components = last.record.gradient.components;
  begun_.gradient_parameters = last.record.gradient.parameters;
  begun_.budget_components = last.record.budget.components;
  begun_.budget_parameters = last.record.budget.parameters;
  moved_ = last.moved;
  for (const auto& slice : slices_)
    if (slice.initial != nullptr) release_pages(std::as_bytes(std::span(slice.initial, slice.weights.count)));
}

void Recorder::finish_snapshot() {
  if (!taker_.under_way()) return;
  auto weights = taker_.finish();
  if (!writer_) return;
  auto snapshot = std::exchange(begun_, {});
  snapshot.components = std::move(weights.components), snapshot.heads = std::move(weights.heads),
  snapshot.parameters = std::move(weights.parameters);
  for (std::size_t i = 0; i < snapshot.parameters.size(); ++i) {
    const auto& s = snapshot.parameters[i].summary;
    const double norm2 = s.m2 + static_cast<double>(s.finite()) * s.mean * s.mean;
    snapshot.update_ratio.push_back(moved_.empty() || norm2 == 0 ? std::numeric_limits<double>::quiet_NaN()
                                                                 : std::sqrt(moved_[i] / norm2));
  }
  if (alarms_) raise(alarms_->see(snapshot));
  writer_->append(std::move(snapshot));
}

void Recorder::checkpoint(std::int64_t step, double stall_seconds, double write_seconds) {
  if (log_) log_->checkpoint(step, stall_seconds, write_seconds);
}

std::shared_future<void> Recorder::seal() { return writer_->seal(); }

void Recorder::flush() {
  if (writer_) writer_->flush();
}

void Recorder::close(const std::string& status, double seconds) {
  if (!writer_) return;
  writer_->close(status, seconds);
  writer_->flush();
}

std::vector<std::string> Recorder::differences() {
  if (!writer_) return {};
  writer_->flush();
  return writer_->differences();
}

}  // namespace weightscope
