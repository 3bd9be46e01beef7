#include "train/spectra.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace weightscope {
namespace {

ModelConfig model_of_width(int width) {
  ModelConfig m;
  m.layers = 2, m.heads = 4, m.width = width, m.block = 8, m.vocab = 32;
  return m;
}

/// Every weight N(0, 0.02²).
void fill_normal(const ParamStore& store) {
  at::manual_seed(20261125);
  at::Tensor(store.master()).copy_(at::randn(store.master().sizes()) * 0.02);
}

at::Tensor weight(const ParamStore& store, int layer, const std::string& name) {
  return ParamStore::view(store.master(), store.find("h." + std::to_string(layer) + name + ".weight"))
      .to(at::kDouble);
}

/// The seven matrices of a layer, by name, in the order of the file.
std::vector<at::Tensor> matrices(const ParamStore& store, int layer, std::int64_t C) {
  const auto fused = weight(store, layer, ".attn.c_attn");
  return {fused,
          fused.narrow(0, 0, C),
          fused.narrow(0, C, C),
          fused.narrow(0, 2 * C, C),
          weight(store, layer, ".attn.c_proj"),
          weight(store, layer, ".mlp.c_fc"),
          weight(store, layer, ".mlp.c_proj")};
}

}  // namespace

TEST(Spectra, AreThoseOfTheSingularValues) {
  const auto model = model_of_width(24);
  const ParamStore store(model, types_of(Precision::fp32), {}, 1);
  fill_normal(store);
  const auto row = spectra(HostComm::world(), store, model);
  for (int layer = 0; layer < 2; ++layer) {
    const auto all = matrices(store, layer, 24);
    for (std::size_t c = 0; c < all.size(); ++c) {
      const auto at = static_cast<std::size_t>(layer) * 7 + c;
      const auto s = at::linalg_svdvals(all[c]), squares = s.square();
      const double top = s[0].item<double>(), sum = squares.sum().item<double>();
      EXPECT_NEAR(row.spectral_norm[at], top, 1e-12) << c;
      EXPECT_NEAR(row.stable_rank[at], sum / (top * top), 1e-10) << c;
      EXPECT_NEAR(row.participation_ratio[at], sum * sum / squares.square().sum().item<double>(), 1e-10) << c;
      EXPECT_GT(row.alpha[at], 1) << c;
      EXPECT_LT(row.alpha_xmin[at], top * top) << c;
    }
    for (std::int64_t h = 0; h < 4; ++h) {
      const auto q = all[1].narrow(0, h * 6, 6), k = all[2].narrow(0, h * 6, 6);
      EXPECT_NEAR(row.qk_spectral_norm[static_cast<std::size_t>(layer * 4 + h)],
                  at::linalg_svdvals(at::mm(q.t(), k))[0].item<double>(), 1e-12);
    }
  }
}

TEST(Spectra, OfRandomWeightsEndAtTheEdgeOfMarchenkoAndPastur) {
  const auto model = model_of_width(192);
  const ParamStore store(model, types_of(Precision::fp32), {}, 1);
  fill_normal(store);
  const auto row = spectra(HostComm::world(), store, model);
  const double C = 192;
  const std::vector<double> rows{3 * C, C, C, C, C, 4 * C, C}, columns{C, C, C, C, C, C, 4 * C};
  for (std::size_t at = 0; at < row.spectral_norm.size(); ++at) {
    const double m = rows[at % 7], n = columns[at % 7], edge = 0.02 * (std::sqrt(m) + std::sqrt(n));
    EXPECT_NEAR(row.spectral_norm[at], edge, 0.03 * edge) << at;
    // Σσ² = mn s², Σσ⁴ = mn(m + n + 1) s⁴ on average.
    EXPECT_NEAR(row.participation_ratio[at], m * n / (m + n + 1), 0.03 * n) << at;
  }
}

TEST(Spectra, AreTheSameBitsOnAnyNumberOfRanks) {
  const auto model = model_of_width(24);
  const ParamStore store(model, types_of(Precision::fp32), {}, 1);
  fill_normal(store);
  const auto host = HostComm::world();
  const auto together = spectra(host, store, model), alone = spectra(host.split(host.rank()), store, model);
  EXPECT_EQ(together.spectral_norm, alone.spectral_norm);
  EXPECT_EQ(together.stable_rank, alone.stable_rank);
  EXPECT_EQ(together.participation_ratio, alone.participation_ratio);
  EXPECT_EQ(together.alpha, alone.alpha);
  EXPECT_EQ(together.alpha_xmin, alone.alpha_xmin);
  EXPECT_EQ(together.alpha_ks, alone.alpha_ks);
  EXPECT_EQ(together.qk_spectral_norm, alone.qk_spectral_norm);
}

TEST(Spectra, OfOneDirectionOfNothingAndOfWhatIsNotFinite) {
  const auto model = model_of_width(24);
  const ParamStore store(model, types_of(Precision::fp32), {}, 1);
  fill_normal(store);
  const auto set = [&](const char* name, const at::Tensor& value) {
    ParamStore::view(store.master(), store.find(name)).copy_(value);
  };
  set("h.0.mlp.c_fc.weight", at::ones({96, 24}));
  set("h.0.mlp.c_proj.weight", at::zeros({24, 96}));
  set("h.1.attn.c_proj.weight", at::full({24, 24}, NAN));
  const auto row = spectra(HostComm::world(), store, model);
  EXPECT_NEAR(row.spectral_norm[5], 48, 1e-9);
  EXPECT_NEAR(row.stable_rank[5], 1, 1e-9);
  EXPECT_NEAR(row.participation_ratio[5], 1, 1e-9);
  EXPECT_TRUE(std::isnan(row.alpha[5]));
  EXPECT_EQ(row.spectral_norm[6], 0);
  EXPECT_TRUE(std::isnan(row.stable_rank[6]));
  EXPECT_TRUE(std::isnan(row.spectral_norm[11]));
  EXPECT_TRUE(std::isfinite(row.spectral_norm[12]));
}

}  // namespace weightscope
