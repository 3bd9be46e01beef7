#include "train/evaluator.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "train/train_step.hpp"

namespace weightscope {

Evaluation evaluate(const HostComm& host, Gpt& gpt, const ParamStore& store, const TokenFile& file,
                    std::int64_t blocks, std::int64_t micro_batch) {
  const std::int64_t T = gpt.config().block,
                     complete = (static_cast<std::int64_t>(file.tokens().size()) - 1) / T;
  const std::int64_t total = blocks > 0 ? std::min(blocks, complete) : complete;
  const std::int64_t batches = (total + micro_batch - 1) / micro_batch;
  const std::int64_t first = batches * host.rank() / host.size(),
                     end = batches * (host.rank() + 1) / host.size();
  const Sampler in_order(static_cast<std::uint64_t>(complete), false, 0);
  // One sum per micro-batch, added up in their order: the bits do not depend on the number of ranks.
  std::vector<double> sums(static_cast<std::size_t>(batches));
  Batch batch;
  for (std::int64_t i = first; i < end; ++i) {
    const std::int64_t at = i * micro_batch, rows = std::min(micro_batch, total - at);
    read_rows(file, in_order, static_cast<std::uint64_t>(at), rows, T, batch);
    MicroBatch m;
    m.tokens_R = to_device(batch.tokens, 0, rows, T, store.place());
    m.targets_R = to_device(batch.targets, 0, rows, T, store.place());
    m.batch = rows, m.T = T;
    at::Tensor(gpt.loss_sum()).zero_();
    gpt.forward(m);
    gpt.evaluate(m);
    sums[static_cast<std::size_t>(i)] = gpt.loss_sum().item<double>();
  }
  host.sum(sums);
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  return {sum / static_cast<double>(total * T), total * T};
}

}  // namespace weightscope
