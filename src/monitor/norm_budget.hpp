#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weightscope {

/// Why ‖W‖² changed in one AdamW update W' = W + ΔW (Loshchilov & Hutter 2019), for the elements of one
/// tensor or part of it [weight²]: ‖W'‖² − ‖W‖² = 2⟨W, ΔW⟩ + ‖ΔW‖², and ΔW is decay −ηλW plus Adam's step
/// −η m̂/(√v̂ + ε). Each term is summed by itself, in double.
struct NormBudget {
  double change = 0;        ///< Σ w'² − w²
  double decay = 0;         ///< 2⟨W, −ηλW⟩
  double gradient = 0;      ///< 2⟨W, −η m̂/(√v̂ + ε)⟩
  double second_order = 0;  ///< ‖ΔW‖², of the weights as they are stored
  /// 2⟨W, δ⟩, δ what rounding to float32 made of ΔW: the numbers above close to it.
  double residual() const { return change - decay - gradient - second_order; }
};
void merge(NormBudget& into, const NormBudget& other);

/// One AdamW update. weight_decay: of these elements, 0 where there is none.
struct AdamWStep {
  double lr = 0, weight_decay = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  std::int64_t step = 1;  ///< from 1, for the correction of the bias
  double step_scale = 1;  ///< of the step, not of the decay
};

/// Weights before and after an update, and the moments that it left behind.
template <class T>
struct Updated {
  const T *before, *after, *exp_avg, *exp_avg_sq;
  std::size_t count;
};

/// In fixed blocks added up in order: the same bits for any number of threads. T: float or double.
template <class T>
NormBudget norm_budget(const Updated<T>& update, const AdamWStep& adamw);
extern template NormBudget norm_budget(const Updated<float>&, const AdamWStep&);
extern template NormBudget norm_budget(const Updated<double>&, const AdamWStep&);

/// One row here is one dataset of the experiment file for each target, with the prefix `norm_budget_`.
struct BudgetTerm {
  std::string_view name, meaning;
  double (*of)(const NormBudget&);
};
inline constexpr std::array kBudgetTerms{
    BudgetTerm{"change", "change of the squared norm in the last update, |W'|^2 - |W|^2",
               [](const NormBudget& b) { return b.change; }},
    BudgetTerm{"decay", "its part from weight decay, 2<W, -lr decay W>",
               [](const NormBudget& b) { return b.decay; }},
    BudgetTerm{"gradient", "its part from Adam's step, 2<W, -lr m/(sqrt(v) + eps)>, moments corrected",
               [](const NormBudget& b) { return b.gradient; }},
    BudgetTerm{"second_order", "its part of second order, |W' - W|^2",
               [](const NormBudget& b) { return b.second_order; }},
    BudgetTerm{"residual", "what the parts leave of the change: rounding of the weights to float32",
               [](const NormBudget& b) { return b.residual(); }}};

}  // namespace weightscope
