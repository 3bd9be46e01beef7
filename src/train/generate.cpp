#include "train/generate.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "core/error.hpp"
#include "train/train_step.hpp"

namespace weightscope {
namespace {

std::int64_t draw(at::Tensor logits_V, const Sampling& how, double uniform) {
  if (how.vocab > 0 && how.vocab < logits_V.numel()) logits_V = logits_V.narrow(0, 0, how.vocab);
  auto z = logits_V.to(at::kCPU, at::kDouble);
  if (how.temperature <= 0) return z.argmax().item<std::int64_t>();
  if (how.top_k > 0 && how.top_k < z.numel()) {
    const auto floor = std::get<0>(z.topk(how.top_k)).min();
    z = z.masked_fill(z < floor, -INFINITY);
  }
  const auto p = at::softmax(z / how.temperature, 0).cumsum(0).contiguous();
  const auto* c = p.data_ptr<double>();
  return std::min<std::int64_t>(std::upper_bound(c, c + p.numel(), uniform * c[p.numel() - 1]) - c,
                                p.numel() - 1);
}

void check_prompt(const std::vector<std::uint16_t>& prompt, std::int64_t vocab) {
  require(!prompt.empty(), Fault::config, "the prompt is empty; give at least one token with --prompt");
  const auto largest = *std::max_element(prompt.begin(), prompt.end());
  require(largest < vocab, Fault::config,
          "the prompt has a token with id " + std::to_string(largest) + ", but model.vocab = " +
              std::to_string(vocab) + "; leave out what the model was not trained on");
}

}  // namespace

std::vector<std::uint16_t> generate(Gpt& gpt, const ParamStore& store,
                                    const std::vector<std::uint16_t>& prompt, const Sampling& how) {
  check_prompt(prompt, gpt.config().vocab);
  const Philox rng(how.seed, "sample");
  std::vector<std::int64_t> tokens(prompt.begin(), prompt.end());
  for (std::int64_t n = 0; n < how.tokens; ++n) {
    const std::int64_t T =
        std::min<std::int64_t>(static_cast<std::int64_t>(tokens.size()), gpt.config().block);
    const std::vector<std::int64_t> window(tokens.end() - T, tokens.end());
    MicroBatch m;
    m.tokens_R = m.targets_R = to_device(window, 0, 1, T, store.place());
    m.batch = 1, m.T = T;
    gpt.forward(m);
    tokens.push_back(draw(gpt.logits().select(0, T - 1), how, rng.uniform(static_cast<std::uint64_t>(n))));
  }
  return {tokens.begin() + static_cast<std::ptrdiff_t>(prompt.size()), tokens.end()};
}

}  // namespace weightscope
