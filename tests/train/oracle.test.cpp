// Five AdamW steps against transformers' GPT2LMHeadModel and torch.optim.AdamW, the batch shared out over 1,
// 2 and 4 ranks.
#include "train/oracle_run.hpp"

namespace weightscope {

TEST(Oracle, LogitsLossAndEveryGradientOfOneBatch) {
  OracleRun run;
  const auto result = run.step.run(0, run.batch(0), false);
  EXPECT_NEAR(result.loss / run.expected["loss"].get<double>(), 1, 1e-6);
  EXPECT_NEAR(result.grad_norm / run.expected["grad_norm_total"].get<double>(), 1, 1e-5);
  EXPECT_LT(largest_difference(run, run.all(run.exchange.reduced()), "expected.safetensors", "grad."), 1e-6);
  if (run.host.size() > 1) return;
  OracleRun fresh;
  Gpt whole(fresh.model, fresh.store, 64, Purpose::evaluation, false);
  const auto batch = fresh.batch(0);
  MicroBatch m;
  m.tokens_R = m.targets_R = to_device(batch.tokens, 0, 4, 16, {});
  m.batch = 4, m.T = 16;
  whole.forward(m);
  const auto fixture = Safetensors::open(kFolder + "expected.safetensors");
  const auto theirs = at::from_blob(const_cast<void*>(fixture.find("logits")->data), {64, 64}, at::kFloat);
  EXPECT_LT((whole.logits() - theirs).abs().max().item<double>(), 1e-5);
}

TEST(Oracle, WeightsMomentsAndLossesOfFiveSteps) {
  OracleRun run;
  expect_five_steps(run);
}

TEST(Oracle, AStrongerClipScalesTheGradient) {
  OracleRun run(0.25);
  const auto& losses = run.expected["train_clip0.25"]["losses"];
  ASSERT_GE(losses.size(), 5U);
  for (std::size_t s = 0; s < 5; ++s) {
    EXPECT_NEAR(
        run.step.run(static_cast<std::int64_t>(s), run.batch(s), false).loss / losses[s].get<double>(), 1,
        1e-5)
        << s;
    if (s > 0) continue;
    // AdamW hides the scale of gradients from losses, but the first moment is a tenth of a gradient of norm
    // 0.25.
    const auto first = run.exchange.gathered(run.optimizer.exp_avg(), 0);
    EXPECT_NEAR(first.norm().item<double>(), 0.1 * 0.25, 1e-6);
    run.host.barrier();  // ranks of a node share that memory, and the next step takes it
  }
}

}  // namespace weightscope
