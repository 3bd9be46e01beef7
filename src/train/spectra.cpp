#include "train/spectra.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "monitor/power_law.hpp"

namespace weightscope {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::array kNumbers{&SpectraRow::spectral_norm,       &SpectraRow::stable_rank,
                              &SpectraRow::participation_ratio, &SpectraRow::alpha,
                              &SpectraRow::alpha_xmin,          &SpectraRow::alpha_ks};
using Numbers = std::array<double, kNumbers.size()>;  ///< of one matrix, in that order

at::Tensor matrix(const ParamStore& store, int layer, const char* name) {
  const auto& p = store.find("h." + std::to_string(layer) + name + ".weight");
  return ParamStore::view(store.master(), p).to(at::kCPU, at::kDouble);
}

/// Component `index` in the order of kComponentNames.
at::Tensor component(const ParamStore& store, int layer, std::size_t index) {
  switch (static_cast<Component>(index)) {
    case Component::attn_proj:
      return matrix(store, layer, ".attn.c_proj");
    case Component::mlp_fc:
      return matrix(store, layer, ".mlp.c_fc");
    case Component::mlp_proj:
      return matrix(store, layer, ".mlp.c_proj");
    default:
      break;
  }
  const auto fused = matrix(store, layer, ".attn.c_attn");
  const auto part = static_cast<std::int64_t>(index) - 1;  // q, k, v follow c_attn
  return part < 0 ? fused : fused.narrow(0, part * fused.size(1), fused.size(1));
}

Numbers numbers_of(const at::Tensor& w) {
  Numbers none;
  none.fill(kNan);
  if (!w.isfinite().all().item<bool>()) return none;
  const auto gram = w.size(0) < w.size(1) ? at::mm(w, w.t()) : at::mm(w.t(), w);
  const auto eigenvalues = at::linalg_eigvalsh(gram);  // upwards
  const auto n = eigenvalues.numel();
  const auto* all = eigenvalues.data_ptr<double>();
  const double largest = std::max(all[n - 1], 0.0);
  const double noise = largest * static_cast<double>(n) * std::numeric_limits<double>::epsilon();
  std::vector<double> squares;  // of the singular values
  double sum = 0, sum_of_squares = 0;
  for (std::int64_t i = 0; i < n; ++i)
    if (all[i] > noise) squares.push_back(all[i]), sum += all[i], sum_of_squares += all[i] * all[i];
  if (squares.empty()) return {0, kNan, kNan, kNan, kNan, kNan};
  const auto tail = fit_power_law(squares);
  return {std::sqrt(largest), sum / largest, sum * sum / sum_of_squares, tail.alpha, tail.xmin, tail.ks};
}

/// ‖W_Qᵀ W_K‖₂ of head h, from the two [D, D] Gram matrices: λ(W_K W_Kᵀ · W_Q W_Qᵀ) are the squares.
double qk_norm_of(const at::Tensor& fused, std::int64_t heads, std::int64_t h) {
  const std::int64_t C = fused.size(1), D = C / heads;
  const auto rows = [&](std::int64_t part) { return fused.narrow(0, part * C + h * D, D); };
  if (!rows(0).isfinite().all().item<bool>() || !rows(1).isfinite().all().item<bool>()) return kNan;
  const auto q = at::mm(rows(0), rows(0).t()), k = at::mm(rows(1), rows(1).t());
  const auto [values, vectors] = at::linalg_eigh(k);
  const auto root = at::mm(vectors * values.clamp_min(0).sqrt(), vectors.t());
  const auto product = at::linalg_eigvalsh(at::mm(at::mm(root, q), root));
  return std::sqrt(std::max(0.0, product[D - 1].item<double>()));
}

}  // namespace

SpectraRow spectra(const HostComm& host, const ParamStore& store, const ModelConfig& model) {
  const auto layers = static_cast<std::size_t>(model.layers), heads = static_cast<std::size_t>(model.heads);
  constexpr std::size_t kComponents = kComponentNames.size();
  SpectraRow row;
  for (const auto member : kNumbers) (row.*member).resize(layers * kComponents);
  row.qk_spectral_norm.resize(layers * heads);
  // A task is a matrix, or the heads of a layer. Every number is zero on all ranks but one: sums are exact.
  const auto mine = [&](std::size_t layer, std::size_t task) {
    return (layer + task) % static_cast<std::size_t>(host.size()) == static_cast<std::size_t>(host.rank());
  };
  for (std::size_t l = 0; l < layers; ++l) {
    for (std::size_t c = 0; c < kComponents; ++c) {
      if (!mine(l, c)) continue;
      const auto numbers = numbers_of(component(store, static_cast<int>(l), c));
      for (std::size_t i = 0; i < numbers.size(); ++i) (row.*kNumbers[i])[l * kComponents + c] = numbers[i];
    }
    if (!mine(l, kComponents)) continue;
    const auto fused = matrix(store, static_cast<int>(l), ".attn.c_attn");
    for (std::size_t h = 0; h < heads; ++h)
      row.qk_spectral_norm[l * heads + h] = qk_norm_of(fused, model.heads, static_cast<std::int64_t>(h));
  }
  for (const auto member : kNumbers) host.sum(row.*member);
  host.sum(row.qk_spectral_norm);
  return row;
}

}  // namespace weightscope
