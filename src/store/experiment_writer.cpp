#include "store/experiment_writer.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "core/error.hpp"
#include "core/log.hpp"

namespace weightscope {
namespace {

struct Seal {};
struct Close {
  std::string status;
  std::int64_t end_step;
  double seconds;
};
using Command = std::variant<TrainRow, EvalRow, AlarmRow, SegmentRow, Snapshot, Seal, Close>;

void run(ExperimentFile& file, const TrainRow& row) { file.add(row); }
void run(ExperimentFile& file, const EvalRow& row) { file.add(row); }
void run(ExperimentFile& file, const AlarmRow& row) { file.add(row); }
void run(ExperimentFile& file, const SegmentRow& row) { file.begin_segment(row); }
void run(ExperimentFile& file, const Snapshot& snapshot) { file.append(snapshot); }
void run(ExperimentFile& file, const Seal&) { file.seal(); }
void run(ExperimentFile& file, const Close& c) { file.close(c.status, c.end_step, c.seconds); }

constexpr std::size_t kRoom = 65536;

/// A snapshot is megabytes, a row some bytes.
std::size_t weight_of(const Command& command) {
  return std::holds_alternative<Snapshot>(command) ? kRoom / 8 : 1;
}

}  // namespace

struct ExperimentWriter::Impl {
  ExperimentFile file;
  std::string uuid;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Command> queue;  ///< the front one is being written
  std::size_t weight = 0;
  std::exception_ptr error;
  bool error_seen = false, stopping = false;
  std::vector<std::string> differences;
  std::thread thread;

  explicit Impl(ExperimentFile f) : file(std::move(f)), uuid(file.uuid()), thread([this] { work(); }) {}

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      const auto& command = queue.front();  // a deque keeps it in place while others are added
      lock.unlock();
      std::exception_ptr failed;
      try {
        if (!error) std::visit([&](const auto& c) { run(file, c); }, command);
      } catch (...) {
        failed = std::current_exception();
      }
      lock.lock();
      if (failed) error = failed;
      differences = file.differences();
      weight -= weight_of(command);
      queue.pop_front();
      changed.notify_all();
    }
  }
  void rethrow() {
    if (!error) return;
    error_seen = true;
    std::rethrow_exception(error);
  }
  void push(Command command) {
    std::unique_lock lock(mutex);
    rethrow();
    const auto more = weight_of(command);
    changed.wait(lock, [&] { return queue.empty() || weight + more <= kRoom; });
    rethrow();
    weight += more;
    queue.push_back(std::move(command));
    changed.notify_all();
  }
  void flush() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return queue.empty(); });
    rethrow();
  }
};

ExperimentWriter::ExperimentWriter(ExperimentFile file) : impl_(std::make_unique<Impl>(std::move(file))) {}
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
void ExperimentWriter::add(const AlarmRow& row) { impl_->push(row); }
void ExperimentWriter::begin_segment(const SegmentRow& row) { impl_->push(row); }
void ExperimentWriter::append(Snapshot snapshot) { impl_->push(std::move(snapshot)); }
void ExperimentWriter::seal() { impl_->push(Seal{}); }

void ExperimentWriter::close(const std::string& status, std::int64_t end_step, double seconds) {
  impl_->push(Close{status, end_step, seconds});
  impl_->flush();
}

void ExperimentWriter::flush() { impl_->flush(); }

std::vector<std::string> ExperimentWriter::differences() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->differences;
}

std::string ExperimentWriter::uuid() const { return impl_->uuid; }

}  // namespace weightscope
