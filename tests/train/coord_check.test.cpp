// A coordinate check: sizes against the autograd twin, slopes and verdicts against laws that are known.
#include "model/pair.hpp"
#include "train/coord_fit.hpp"
#include "train/coord_report.hpp"
#include "train/coord_sizes.hpp"

#include "core/error.hpp"

namespace weightscope {
namespace {

/// Every quantity of a forward pass of the twin, over the keys that queries see.
std::vector<torch::Tensor> of_twin(Pair& pair) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> all;
  const auto logits = pair.twin.logits(pair.batch);
  const auto& x = pair.twin.residuals_BTC;
  const auto past = torch::ones({pair.batch.T, pair.batch.T}, torch::kBool).tril();
  all.push_back(x[0]);
  for (std::size_t l = 0; l < pair.twin.blocks.size(); ++l) {
    auto& block = *pair.twin.blocks[l];
    const auto attention = block.attend(block.ln_1(x[l]), pair.batch);
    all.push_back(block.logits_BHTT.index({torch::indexing::Ellipsis, past}));
    all.push_back(attention);
    all.push_back(x[l + 1] - x[l] - attention);
    all.push_back(x[l + 1]);
  }
  all.push_back(logits);
  return all;
}

double mean_size(const torch::Tensor& x) { return x.abs().mean().item<double>(); }

void shift_weights(Pair& pair) {
  torch::NoGradGuard no_grad;
  for (const auto& p : pair.store.parameters()) {
    const auto by = torch::randn(p.shape, torch::kDouble) * 0.05;
    pair.twin.parameter(p.name) += by;
    ParamStore::view(pair.store.master(), p).add_(by);
  }
}

Case mup_case() {
  auto model = small(true, true, Activation::gelu_tanh, 0);
  model.mup_base_width = 6, model.mup_base_head_width = 3;
  return {"mup", model, 2, 9};
}

RunConfig some_config() {
  RunConfig c;
  c.model.layers = 2, c.model.heads = 2, c.model.width = 32, c.model.block = 8, c.model.vocab = 64;
  c.init.scheme = InitScheme::mup, c.model.mup_base_width = 16;
  c.schedule.warmup_steps = 100;
  return c;
}

void expect_refused(const std::string& why, const RunConfig& config, Parametrization which, int width,
                    Grow grow) {
  try {
    (void)coord_config(config, which, width, 16, grow, 1);
    ADD_FAILURE() << "accepted; expected: " << why;
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 2) << e.what();
    EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
  }
}

}  // namespace

TEST(CoordinateSizes, AreThoseOfTheTwin) {
  Pair pair(mup_case(), {at::kFloat, at::kFloat});
  const auto twin_start = of_twin(pair);
  const auto start = coordinates(pair.gpt, pair.batch);
  shift_weights(pair);
  const auto twin_now = of_twin(pair);
  const auto [size, change] =
      compare_coordinates(coordinates(pair.gpt, pair.batch), start, pair.gpt, pair.batch.batch);
  const auto names = coord_quantities(pair.gpt.config().layers);
  ASSERT_EQ(size.size(), names.size());
  ASSERT_EQ(twin_now.size(), names.size());
  for (std::size_t q = 0; q < names.size(); ++q) {
    EXPECT_NEAR(size[q] / mean_size(twin_now[q]), 1, 1e-5) << names[q];
    EXPECT_NEAR(change[q] / mean_size(twin_now[q] - twin_start[q]), 1, 1e-4) << names[q];
  }
}

TEST(CoordSlope, IsTheExponentOfAPowerLaw) {
  const std::vector<int> widths{32, 64, 256};
  std::vector<std::vector<double>> sizes;
  for (const double w : {32.0, 64.0, 256.0})
    sizes.push_back({3 * std::pow(w, 0.4), 5 * std::pow(w, 0.5), std::pow(w, 0.6)});
  const auto s = fit_slope(widths, sizes);
  EXPECT_NEAR(s.slope, 0.5, 1e-12);
  // Standard deviation 0.1 of three slopes, t of two degrees of freedom.
  EXPECT_NEAR(s.high - s.slope, 4.303 * 0.1 / std::sqrt(3.0), 1e-9);
  EXPECT_NEAR(s.slope - s.low, s.high - s.slope, 1e-12);
  EXPECT_TRUE(std::isnan(fit_slope(widths, {{1}, {2}, {8}}).low));
  EXPECT_FALSE(std::isfinite(fit_slope(widths, {{1}, {0}, {8}}).slope));
}

TEST(CoordSlope, TakesStudentsQuantiles) {
  EXPECT_EQ(student_t95(2), 12.706);
  EXPECT_EQ(student_t95(5), 2.776);
  EXPECT_EQ(student_t95(31), 2.042);
}

TEST(CoordVerdict, LetsSizesFallAndChangesNeither) {
  const double t = kCoordTolerance, nan = std::nan("");
  using M = CoordMeasure;
  EXPECT_EQ(coord_verdict(M::size, {0.5, t + 0.01, 0.9}), "fail: grows");
  EXPECT_EQ(coord_verdict(M::change, {0.5, t + 0.01, 0.9}), "fail: grows");
  EXPECT_EQ(coord_verdict(M::size, {-0.5, -0.6, -0.4}), "pass");
  EXPECT_EQ(coord_verdict(M::change, {-0.5, -0.6, -0.4}), "fail: fades");
  EXPECT_EQ(coord_verdict(M::change, {0.1, 0.0, 0.2}), "pass");
  EXPECT_EQ(coord_verdict(M::change, {0.1, 0.0, t + 0.01}), "unclear");
  EXPECT_EQ(coord_verdict(M::size, {0.1, 0.0, t + 0.01}), "unclear");
  EXPECT_EQ(coord_verdict(M::change, {-0.1, -t - 0.01, 0.0}), "unclear");
  EXPECT_EQ(coord_verdict(M::size, {-0.1, -t - 0.01, 0.0}), "pass");
  EXPECT_EQ(coord_verdict(M::size, {0.3, nan, nan}), "fail: grows") << "one seed";
  EXPECT_EQ(coord_verdict(M::change, {nan, nan, nan}), "fail: not finite");
}

TEST(CoordConfig, ChangesTheWidthAndWhatBelongsToIt) {
  const auto config = some_config();
  const auto wide = coord_config(config, Parametrization::mup, 64, 16, Grow::heads, 9);
  EXPECT_EQ(wide.model.width, 64);
  EXPECT_EQ(wide.model.heads, 4);
  EXPECT_EQ(wide.model.mup_base_width, 16);
  EXPECT_EQ(wide.model.mup_base_head_width, 0);
  EXPECT_EQ(wide.seed, 9u);
  EXPECT_EQ(wide.schedule.name, ScheduleName::constant);
  EXPECT_EQ(wide.schedule.warmup_steps, 0);
  const auto wide_heads = coord_config(config, Parametrization::mup, 64, 16, Grow::head_width, 9);
  EXPECT_EQ(wide_heads.model.heads, 2);
  EXPECT_EQ(wide_heads.model.mup_base_head_width, 8);
  const auto standard = coord_config(config, Parametrization::standard, 64, 16, Grow::heads, 9);
  EXPECT_EQ(standard.model.mup_base_width, 0);
  EXPECT_EQ(standard.init.scheme, InitScheme::gpt2);
  auto plain = config;
  plain.model.mup_base_width = 0, plain.init.scheme = InitScheme::kaiming_normal;
  EXPECT_EQ(coord_config(plain, Parametrization::standard, 64, 32, Grow::heads, 9).init.scheme,
            InitScheme::kaiming_normal);
  EXPECT_EQ(coord_config(plain, Parametrization::mup, 64, 32, Grow::heads, 9).model.mup_base_width, 32);
}

TEST(CoordConfig, RefusesWhatCannotBe) {
  auto config = some_config();
  expect_refused("no multiple of the head size 16", config, Parametrization::mup, 40, Grow::heads);
  expect_refused("does not divide", config, Parametrization::standard, 33, Grow::head_width);
  config.init.from = "somewhere";
  expect_refused("init.from", config, Parametrization::mup, 64, Grow::heads);
}

TEST(CoordWidths, AreMultiplesOfTheBaseWidth) {
  auto model = some_config().model;
  EXPECT_EQ(default_widths(model, Grow::heads), (std::vector<int>{16, 32, 64, 128}));
  model.mup_base_width = 0;
  EXPECT_EQ(default_widths(model, Grow::heads), (std::vector<int>{64, 128, 256, 512}));
  model.width = 192, model.heads = 4;
  EXPECT_EQ(default_widths(model, Grow::heads), (std::vector<int>{96, 192, 384, 768}));
  EXPECT_EQ(default_widths(model, Grow::head_width), (std::vector<int>{64, 128, 256, 512}));
}

}  // namespace weightscope
