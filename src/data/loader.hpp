#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/sampler.hpp"
#include "data/token_file.hpp"

namespace weightscope {

/// Tokens and next-token targets of some rows, row-major [rows, T], as the model wants them.
struct Batch {
  std::vector<std::int64_t> tokens, targets;
};

/// Which rows of the global batch this rank reads. Rows of a rank are contiguous: rank r has [r·B/P,
/// (r+1)·B/P).
struct BatchLayout {
  std::int64_t global_batch = 1, block = 1;
  int rank = 0, world = 1;
  std::int64_t rows() const { return global_batch / world; }
};

/// Reads this rank's rows one step ahead on a thread of its own. No state besides the step that comes next.
class Loader {
 public:
  Loader(TokenFile file, Sampler sampler, BatchLayout layout, std::int64_t first_step);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  /// The batch of the next step, valid until the call after. Rethrows what the thread met (Error{data}).
  const Batch& next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Fills rows `first_sample` … of a batch, without a thread (evaluation, tests).
void read_rows(const TokenFile& file, const Sampler& sampler, std::uint64_t first_sample, std::int64_t rows,
               std::int64_t block, Batch& out);

}  // namespace weightscope
