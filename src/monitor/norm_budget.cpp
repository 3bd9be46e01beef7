#include "monitor/norm_budget.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace weightscope {
namespace {

constexpr std::size_t kSummed = 4096;

/// Σ w², Σ w·a with a = m/(√v·root + ε), Σ (w' − w)², Σ w'² − w².
struct Sums {
  double square = 0, along = 0, moved = 0, change = 0;
};

template <class T>
Sums sums_of(const Updated<T>& u, std::size_t from, std::size_t to, double root, double eps) {
  double square = 0, along = 0, moved = 0, change = 0;
#pragma omp simd reduction(+ : square, along, moved, change)
  for (std::size_t i = from; i < to; ++i) {
    const auto w = static_cast<double>(u.before[i]), after = static_cast<double>(u.after[i]);
    square += w * w;
    along += w * static_cast<double>(u.exp_avg[i]) /
             (std::sqrt(static_cast<double>(u.exp_avg_sq[i])) * root + eps);
    moved += (after - w) * (after - w);
    change += after * after - w * w;  // squares of float32 are exact in double
  }
  return {square, along, moved, change};
}

}  // namespace

void merge(NormBudget& into, const NormBudget& other) {
  into.change += other.change, into.decay += other.decay;
  into.gradient += other.gradient, into.second_order += other.second_order;
}

template <class T>
NormBudget norm_budget(const Updated<T>& update, const AdamWStep& adamw) {
  const auto t = static_cast<double>(adamw.step);
  const double root = 1 / std::sqrt(1 - std::pow(adamw.beta2, t)),
               step_size = adamw.lr * adamw.step_scale / (1 - std::pow(adamw.beta1, t));
  std::vector<Sums> blocks((update.count + kSummed - 1) / kSummed);
#pragma omp parallel for schedule(static) if (blocks.size() > 1)
  for (std::size_t b = 0; b < blocks.size(); ++b)
    blocks[b] = sums_of(update, b * kSummed, std::min((b + 1) * kSummed, update.count), root, adamw.eps);
  Sums all;
  for (const auto& b : blocks)
    all.square += b.square, all.along += b.along, all.moved += b.moved, all.change += b.change;
  return {all.change, -2 * adamw.lr * adamw.weight_decay * all.square, -2 * step_size * all.along, all.moved};
}

template NormBudget norm_budget(const Updated<float>&, const AdamWStep&);
template NormBudget norm_budget(const Updated<double>&, const AdamWStep&);

}  // namespace weightscope
