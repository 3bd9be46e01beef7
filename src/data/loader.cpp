#include "data/loader.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "core/fault_point.hpp"
#include "core/hash.hpp"

namespace weightscope {

void read_rows(const TokenFile& file, const Sampler& sampler, std::uint64_t first_sample, std::int64_t rows,
               std::int64_t block, Batch& out) {
  const auto T = static_cast<std::size_t>(block);
  out.tokens.resize(static_cast<std::size_t>(rows) * T);
  out.targets.resize(out.tokens.size());
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
    const auto* from = file.tokens().data() + sampler.block_of(first_sample + r) * T;
    std::copy(from, from + T, out.tokens.begin() + static_cast<std::ptrdiff_t>(r * T));
    std::copy(from + 1, from + T + 1, out.targets.begin() + static_cast<std::ptrdiff_t>(r * T));
  }
}

namespace {

/// Targets of a fault that tests ask for: tokens of the same rows, in an order that says nothing.
void spoil(Batch& batch, std::int64_t step) {
  for (std::size_t i = 0; i < batch.targets.size(); ++i)
    batch.targets[i] =
        batch.tokens[splitmix64(static_cast<std::uint64_t>(step) << 32 | i) % batch.tokens.size()];
}

}  // namespace

/// Two batches: one with the caller, one being filled.
struct Loader::Impl {
  Impl(TokenFile f, Sampler s, BatchLayout l, std::int64_t first)
      : file(std::move(f)), sampler(s), layout(l), step(first) {
    worker = std::thread([this] { work(); });
  }
  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    worker.join();
  }

  void fill(Batch& batch) {
    const auto first = step * layout.global_batch + layout.rank * layout.rows();
    read_rows(file, sampler, static_cast<std::uint64_t>(first), layout.rows(), layout.block, batch);
    if (faulty_from("labels", step)) spoil(batch, step);
    ++step;
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return stopping || !ready; });
      if (stopping) return;
      lock.unlock();
      std::exception_ptr met;
      try {
        fill(spare);
      } catch (...) {
        met = std::current_exception();
      }
      lock.lock();
      failure = met;
      ready = true;
      changed.notify_all();
    }
  }

  const Batch& next() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return ready; });
    if (failure) std::rethrow_exception(failure);
    std::swap(current, spare);
    ready = false;
    changed.notify_all();
    return current;
  }

  TokenFile file;
  Sampler sampler;
  BatchLayout layout;
  std::int64_t step;
  Batch current, spare;
  std::mutex mutex;
  std::condition_variable changed;
  bool ready = false, stopping = false;
  std::exception_ptr failure;
  std::thread worker;
};

Loader::Loader(TokenFile file, Sampler sampler, BatchLayout layout, std::int64_t first_step)
    : impl_(std::make_unique<Impl>(std::move(file), sampler, layout, first_step)) {}
Loader::~Loader() = default;
const Batch& Loader::next() { return impl_->next(); }

}  // namespace weightscope
