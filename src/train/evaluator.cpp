#include "train/evaluator.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "train/train_step.hpp"

namespace weightscope {

Evaluation evaluate(const HostComm& host, Gpt& gpt, const ParamStore& store, const TokenFile& file,
                    std::int64_t blocks, std::int64_t micro_batch) {
  const std::int64_t T = gpt.config().block,
                     complete = (static_cast<std::int64_t>(file.tokens().size()) - 1) / T;
  const std::int64_t total = blocks > 0 ? std::min(blocks, complete) : complete;
  const std::int64_t begin = total * host.rank() / host.size(), end = total * (host.rank() + 1) / host.size();
  const Sampler in_order(static_cast<std::uint64_t>(complete), false, 0);
  at::Tensor(gpt.loss_sum()).zero_();
  Batch batch;
  for (std::int64_t at = begin; at < end; at += micro_batch) {
    const std::int64_t rows = std::min(micro_batch, end - at);
    read_rows(file, in_order, static_cast<std::uint64_t>(at), rows, T, batch);
    MicroBatch m;
    m.tokens_R = to_device(batch.tokens, 0, rows, T, store.place());
    m.targets_R = to_device(batch.targets, 0, rows, T, store.place());
    m.batch = rows, m.T = T;
    gpt.forward(m);
    gpt.evaluate(m);
  }
  const double sum = host.sum(gpt.loss_sum().item<double>());
  return {sum / static_cast<double>(total * T), total * T};
}

}  // namespace weightscope
