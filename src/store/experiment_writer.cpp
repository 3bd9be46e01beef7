#include "store/experiment_writer.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "core/error.hpp"
#include "core/log.hpp"
#include "store/retry.hpp"

namespace weightscope {
namespace {

struct Seal {
  std::shared_ptr<std::promise<void>> done;
};
struct Close {
  std::string status;
  double seconds;
};
using Command =
    std::variant<TrainRow, EvalRow, ProbeRow, SpectraRow, AlarmRow, SegmentRow, Snapshot, Seal, Close>;

void run(ExperimentFile& file, const TrainRow& row) { file.add(row); }
void run(ExperimentFile& file, const EvalRow& row) { file.add(row); }
void run(ExperimentFile& file, const ProbeRow& row) { file.add(row); }
void run(ExperimentFile& file, const SpectraRow& row) { file.add(row); }
void run(ExperimentFile& file, const AlarmRow& row) { file.add(row); }
void run(ExperimentFile& file, const SegmentRow& row) { file.begin_segment(row); }
void run(ExperimentFile& file, const Snapshot& snapshot) { file.append(snapshot); }
void run(ExperimentFile& file, const Seal&) { file.seal(); }
void run(ExperimentFile& file, const Close& c) { file.close(c.status, c.seconds); }

constexpr std::size_t kRoom = 65536;
/// Snapshots that may wait for a disk that is full, over those that may wait for a slow one.
constexpr std::size_t kPatience = 16;

/// A snapshot is megabytes, a row some bytes.
std::size_t weight_of(const Command& command) {
  return std::holds_alternative<Snapshot>(command) ? kRoom / 8 : 1;
}

/// Whoever waits for a seal learns how it went.
void tell(const Command& command, const std::exception_ptr& error) {
  const auto* seal = std::get_if<Seal>(&command);
  if (seal == nullptr || !seal->done) return;
  error ? seal->done->set_exception(error) : seal->done->set_value();
}

AlarmRow left_out(const Snapshot& snapshot) {
  return {snapshot.step,
          "output",
          "error",
          "snapshot",
          std::numeric_limits<double>::quiet_NaN(),
          0,
          "not recorded: too many snapshots wait for a disk that cannot be written"};
}

}  // namespace

struct ExperimentWriter::Impl {
  ExperimentFile file;
  bool patient;
  std::string uuid;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Command> queue;  ///< the front one is being written
  std::size_t weight = 0;
  std::exception_ptr error;
  bool error_seen = false, stopping = false, failing = false, hurry = false;
  int attempts_left = -1;  ///< -1: as many as it takes
  std::vector<std::string> differences;
  std::thread thread;

  Impl(ExperimentFile f, bool p)
      : file(std::move(f)), patient(p), uuid(file.uuid()), thread([this] { work(); }) {}

  void work() {
    std::unique_lock lock(mutex);
    for (Retry retry;;) {
      changed.wait(lock, [&] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      auto& command = queue.front();  // a deque keeps it in place while others are added
      lock.unlock();
      std::exception_ptr failed;
      std::string problem;
      try {
        if (!error) std::visit([&](const auto& c) { run(file, c); }, command);
      } catch (const std::exception& e) {
        failed = std::current_exception(), problem = e.what();
      }
      lock.lock();
      if (failed && patient && !stopping && attempts_left != 0) {
        again_later(lock, retry, problem);
        continue;
      }
      if (std::exchange(failing, failed != nullptr) && !failed) log_info("the record is written again");
      retry.reset();
      if (failed) error = failed;
      tell(command, error);
      differences = file.differences();
      weight -= weight_of(command);
      queue.pop_front();
      changed.notify_all();
    }
  }
  void again_later(std::unique_lock<std::mutex>& lock, Retry& retry, const std::string& problem) {
    if (!std::exchange(failing, true))
      log_warning("the record is not written: " + problem + "; training goes on, and so do attempts");
    if (attempts_left > 0) --attempts_left;
    changed.notify_all();
    if (std::exchange(hurry, false)) retry.reset();
    changed.wait_for(lock, retry.pause(), [&] { return stopping || hurry; });
  }
  void rethrow() {
    if (!error) return;
    error_seen = true;
    std::rethrow_exception(error);
  }
  void push(Command command) {
    std::unique_lock lock(mutex);
    rethrow();
    auto more = weight_of(command);
    changed.wait(lock, [&] { return queue.empty() || weight + more <= kRoom || failing; });
    rethrow();
    if (const auto* snapshot = std::get_if<Snapshot>(&command);
        snapshot != nullptr && weight + more > kPatience * kRoom) {
      command = left_out(*snapshot);
      more = weight_of(command);
    }
    weight += more;
    queue.push_back(std::move(command));
    changed.notify_all();
  }
  void flush() {
    std::unique_lock lock(mutex);
    attempts_left = Retry::kLastAttempts - 1, hurry = true;
    changed.notify_all();
    changed.wait(lock, [&] { return queue.empty(); });
    attempts_left = -1, hurry = false;
    rethrow();
  }
};

ExperimentWriter::ExperimentWriter(ExperimentFile file, bool patient)
    : impl_(std::make_unique<Impl>(std::move(file), patient)) {}
ExperimentWriter::ExperimentWriter(ExperimentWriter&&) noexcept = default;

ExperimentWriter::~ExperimentWriter() {
  if (!impl_) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->changed.notify_all();
  }
  impl_->thread.join();
  if (!impl_->error || impl_->error_seen) return;
  try {
    std::rethrow_exception(impl_->error);
  } catch (const std::exception& e) {
    log_error(e.what());
  }
}

void ExperimentWriter::add(const TrainRow& row) { impl_->push(row); }
void ExperimentWriter::add(const EvalRow& row) { impl_->push(row); }
void ExperimentWriter::add(const ProbeRow& row) { impl_->push(row); }
void ExperimentWriter::add(const SpectraRow& row) { impl_->push(row); }
void ExperimentWriter::add(const AlarmRow& row) { impl_->push(row); }
void ExperimentWriter::begin_segment(const SegmentRow& row) { impl_->push(row); }
void ExperimentWriter::append(Snapshot snapshot) { impl_->push(std::move(snapshot)); }
std::shared_future<void> ExperimentWriter::seal() {
  const auto done = std::make_shared<std::promise<void>>();
  impl_->push(Seal{done});
  return done->get_future().share();
}

void ExperimentWriter::close(const std::string& status, double seconds) {
  impl_->push(Close{status, seconds});
  impl_->flush();
}

void ExperimentWriter::flush() { impl_->flush(); }

std::vector<std::string> ExperimentWriter::differences() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->differences;
}

bool ExperimentWriter::failing() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->failing;
}

std::string ExperimentWriter::uuid() const { return impl_->uuid; }

}  // namespace weightscope
