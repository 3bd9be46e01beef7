#include "store/checkpoint_writer.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "store/retry.hpp"

namespace weightscope {
namespace {

std::string bytes_text(const CheckpointWriter::Job& job) {
  std::size_t sum = 0;
  for (const auto* tensors : {&job.model, &job.optimizer})
    for (const auto& t : *tensors) sum += t.bytes();
  return std::to_string(sum) + " bytes";
}

void warn(const CheckpointWriter::Job& job, const std::string& problem) {
  log_warning("the checkpoint of step " + std::to_string(job.info.step) + " (" + bytes_text(job) +
              ") is not written: " + problem + "; training goes on, and so do attempts to write it");
}

}  // namespace

struct CheckpointWriter::Impl {
  std::filesystem::path run;
  Policy policy;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Job> job;   ///< the thread's, until it is on disk or given up
  std::int64_t number = 0;  ///< of the job
  bool tried = true;        ///< once at least
  int attempts_left = -1;   ///< -1: as many as it takes
  bool busy = false, stopping = false, hurry = false;
  std::atomic<bool> unwanted = false;  ///< a newer checkpoint waits for its turn
  std::exception_ptr error;
  std::optional<Written> written;
  std::thread thread;

  Impl(std::filesystem::path r, Policy p) : run(std::move(r)), policy(p), thread([this] { work(); }) {}

  /// A checkpoint must not be newer than the record. When that cannot be written, a newer one takes its
  /// place.
  void await_record(const Job& what) const {
    if (!what.record.valid()) return;
    while (what.record.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
      require(!unwanted || !what.record_fails(), Fault::output,
              "the record of the steps before it cannot be written");
    what.record.get();
  }
  void put(const Job& what) const {
    write_checkpoint(run, what.info, what.model, what.optimizer, [&] { await_record(what); });
    prune_checkpoints(run, policy.keep, policy.keep_every);
  }

  void work() {
    std::unique_lock lock(mutex);
    Retry retry;
    for (std::int64_t last = -1;;) {
      changed.wait(lock, [&] { return stopping || job; });
      if (!job) return;
      if (number != last || std::exchange(hurry, false)) retry.reset();
      const bool again = number == std::exchange(last, number);
      busy = true;
      lock.unlock();
      const auto began = std::chrono::steady_clock::now();
      std::exception_ptr failed;
      std::string problem;
      try {
        put(*job);  // nobody else touches the job while busy
      } catch (const std::exception& e) {
        failed = std::current_exception(), problem = e.what();
      }
      lock.lock();
      busy = false, tried = true;
      if (!failed) {
        if (again)
          log_info("the checkpoint of step " + std::to_string(job->info.step) + " is written after all");
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        written = Written{job->info.step, took.count()};
        job.reset();
      } else if (!policy.patient || stopping || attempts_left == 0) {
        error = failed;
        job.reset();
      }
      changed.notify_all();
      if (!job) continue;
      if (attempts_left > 0) --attempts_left;
      if (!again) warn(*job, problem);
      changed.wait_for(lock, retry.pause(), [&] { return stopping || !job || number != last || hurry; });
    }
  }
  void rethrow() const {
    if (error) std::rethrow_exception(error);
  }
};

CheckpointWriter::CheckpointWriter(std::filesystem::path run, Policy policy)
    : impl_(std::make_unique<Impl>(std::move(run), policy)) {}

CheckpointWriter::~CheckpointWriter() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = impl_->unwanted = true;
    if (!impl_->busy && impl_->tried) impl_->job.reset();
    impl_->changed.notify_all();
  }
  impl_->thread.join();
}

void CheckpointWriter::write(const Job& job) {
  settle();
  Retry retry;
  for (int attempt = 1;; ++attempt) {
    try {
      return impl_->put(job);
    } catch (const Error& e) {
      if (!impl_->policy.patient || e.fault() != Fault::output || attempt == Retry::kLastAttempts) throw;
      if (attempt == 1) warn(job, e.what());
      std::this_thread::sleep_for(retry.pause());
    }
  }
}

void CheckpointWriter::begin(Job job) {
  const std::lock_guard lock(impl_->mutex);
  impl_->rethrow();
  impl_->job = std::move(job);
  ++impl_->number;
  impl_->tried = false, impl_->attempts_left = -1;
  impl_->changed.notify_all();
}

void CheckpointWriter::settle() {
  std::unique_lock lock(impl_->mutex);
  impl_->unwanted = true;
  impl_->changed.wait(lock, [&] { return !impl_->busy && (impl_->tried || !impl_->job); });
  impl_->unwanted = false;
  impl_->rethrow();
  impl_->job.reset();
  impl_->changed.notify_all();
}

void CheckpointWriter::finish() {
  std::unique_lock lock(impl_->mutex);
  impl_->attempts_left = Retry::kLastAttempts - 1, impl_->hurry = true;
  impl_->changed.notify_all();
  impl_->changed.wait(lock, [&] { return !impl_->job; });
  impl_->rethrow();
}

std::optional<CheckpointWriter::Written> CheckpointWriter::poll() {
  const std::lock_guard lock(impl_->mutex);
  impl_->rethrow();
  return std::exchange(impl_->written, std::nullopt);
}

}  // namespace weightscope
