#include "train/probe.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "data/loader.hpp"
#include "train/train_step.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kPerHead = 3;  // largest logit, Σ of their squares, Σ of entropies

/// Where the numbers of one block of tokens stand: kPerHead for each head of each layer, then Σ x² of the
/// residual stream before each layer and after the last.
struct Places {
  std::size_t layers, heads;
  std::size_t of_head(std::size_t layer, std::size_t head) const { return (layer * heads + head) * kPerHead; }
  std::size_t of_residual(std::size_t layer) const { return layers * heads * kPerHead + layer; }
  std::size_t count() const { return of_residual(layers + 1); }
};

void measure_block(Gpt& gpt, const MicroBatch& m, const Places& at, std::span<double> numbers) {
  const auto squares = [&](std::size_t layer) {
    numbers[at.of_residual(layer)] =
        ops::sum_of_squares(gpt.residual(static_cast<int>(layer))).item<double>();
  };
  gpt.forward_embedding(m);
  for (std::size_t layer = 0; layer < at.layers; ++layer) {
    gpt.forward_block(static_cast<int>(layer), m);
    squares(layer);
    const auto heads =
        ops::attention_logits(gpt.qkv(static_cast<int>(layer)), gpt.config().heads, gpt.attention_scale());
    for (std::size_t head = 0; head < at.heads; ++head) {
      const auto place = numbers.subspan(at.of_head(layer, head), kPerHead);
      place[0] = heads[head].max, place[1] = heads[head].sum_of_squares, place[2] = heads[head].entropy;
    }
  }
  gpt.forward_output();
  squares(at.layers);
}

/// From the numbers of all blocks, in their order.
ProbeRow combine(const std::vector<double>& numbers, const Places& at, std::size_t blocks, double T,
                 double C) {
  const auto n = static_cast<double>(blocks);
  const auto total = [&](std::size_t place) {
    double sum = 0;
    for (std::size_t b = 0; b < blocks; ++b) sum += numbers[b * at.count() + place];
    return sum;
  };
  ProbeRow row;
  for (std::size_t layer = 0; layer < at.layers; ++layer)
    for (std::size_t head = 0; head < at.heads; ++head) {
      const auto place = at.of_head(layer, head);
      double largest = -std::numeric_limits<double>::infinity();
      for (std::size_t b = 0; b < blocks; ++b) {
        const double found = numbers[b * at.count() + place];
        if (std::isnan(found) || found > largest) largest = found;
      }
      row.attention_logit_max.push_back(largest);
      row.attention_logit_rms.push_back(std::sqrt(total(place + 1) / (n * T * (T + 1) / 2)));
      row.attention_entropy.push_back(total(place + 2) / (n * T));
    }
  for (std::size_t layer = 0; layer <= at.layers; ++layer)
    row.residual_rms.push_back(std::sqrt(total(at.of_residual(layer)) / (n * T * C)));
  return row;
}

}  // namespace

ProbeRow probe(const HostComm& host, Gpt& gpt, const ParamStore& store, const TokenFile& file,
               std::int64_t blocks) {
  const std::int64_t T = gpt.config().block,
                     complete = (static_cast<std::int64_t>(file.tokens().size()) - 1) / T,
                     total = std::min(blocks, complete);
  const Places at{static_cast<std::size_t>(gpt.config().layers),
                  static_cast<std::size_t>(gpt.config().heads)};
  const Sampler in_order(static_cast<std::uint64_t>(complete), false, 0);
  // Every block has a place of its own, zero on all ranks but one: their sum is exact.
  std::vector<double> numbers(static_cast<std::size_t>(total) * at.count());
  Batch batch;
  for (std::int64_t b = host.rank(); b < total; b += host.size()) {
    read_rows(file, in_order, static_cast<std::uint64_t>(b), 1, T, batch);
    MicroBatch m;
    m.tokens_R = to_device(batch.tokens, 0, 1, T, store.place());
    m.targets_R = to_device(batch.targets, 0, 1, T, store.place());
    m.batch = 1, m.T = T;
    measure_block(gpt, m, at,
                  std::span(numbers).subspan(static_cast<std::size_t>(b) * at.count(), at.count()));
  }
  host.sum(numbers);
  return combine(numbers, at, static_cast<std::size_t>(total), static_cast<double>(T),
                 static_cast<double>(gpt.config().width));
}

}  // namespace weightscope
