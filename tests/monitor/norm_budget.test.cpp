#include "monitor/norm_budget.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <vector>

#include "monitor/weights.hpp"

namespace weightscope {
namespace {

constexpr AdamWStep kStep{1e-3, 0.1, 0.9, 0.95, 1e-8, 3};

template <class T>
struct Course {
  std::vector<T> before, after, exp_avg, exp_avg_sq;
  Updated<T> updated() const {
    return {before.data(), after.data(), exp_avg.data(), exp_avg_sq.data(), before.size()};
  }
};

/// An update as AdamW makes it in T.
template <class T>
Course<T> course(std::size_t n, double std) {
  Course<T> c;
  const auto w = normal_weights(n, "w", std), m = normal_weights(n, "m", 1e-4),
             v = normal_weights(n, "v", 1e-3);
  const T keep = static_cast<T>(1 - kStep.lr * kStep.weight_decay),
          size = static_cast<T>(kStep.lr / (1 - std::pow(0.9, 3))),
          root = static_cast<T>(1 / std::sqrt(1 - std::pow(0.95, 3))), eps = static_cast<T>(kStep.eps);
  for (std::size_t i = 0; i < n; ++i) {
    c.before.push_back(static_cast<T>(w[i])), c.exp_avg.push_back(static_cast<T>(m[i]));
    c.exp_avg_sq.push_back(static_cast<T>(v[i]) * static_cast<T>(v[i]));
    c.after.push_back(c.before[i] * keep - size * c.exp_avg[i] / (std::sqrt(c.exp_avg_sq[i]) * root + eps));
  }
  return c;
}

template <class T>
double square(const Course<T>& c) {
  double sum = 0;
  for (const auto w : c.before) sum += static_cast<double>(w) * static_cast<double>(w);
  return sum;
}

}  // namespace

TEST(NormBudget, OfOneWeightIsThatComputedByHand) {
  // m̂ = 0.1 / (1 − 0.5²), v̂ = 0.04 / (1 − 0.75²), lr 0.5, decay 0.25.
  const double w = 3, after = 2, m = 0.1, v = 0.04;
  const auto found = norm_budget(Updated<double>{&w, &after, &m, &v, 1}, {0.5, 0.25, 0.5, 0.75, 0, 2});
  EXPECT_DOUBLE_EQ(found.change, -5);
  EXPECT_DOUBLE_EQ(found.decay, -2 * 0.5 * 0.25 * 9);
  EXPECT_DOUBLE_EQ(found.gradient, -2 * 0.5 * 3 * (0.1 / 0.75) / std::sqrt(0.04 / 0.4375));
  EXPECT_DOUBLE_EQ(found.second_order, 1);
  EXPECT_DOUBLE_EQ(found.residual(), found.change - found.decay - found.gradient - found.second_order);
}

TEST(NormBudget, ClosesToRoundingInDouble) {
  const auto c = course<double>(100000, 0.02);
  const auto found = norm_budget(c.updated(), kStep);
  EXPECT_LT(std::abs(found.residual()), 1e-14 * square(c));
  EXPECT_GT(std::abs(found.decay), 1e-4 * square(c));
  EXPECT_GT(found.second_order, 1e-5 * square(c));
}

TEST(NormBudget, ClosesToTheRoundingOfFloat32) {
  const auto c = course<float>(100000, 0.02);
  const auto found = norm_budget(c.updated(), kStep);
  // 1 − ηλ, its product with w and w' are rounded once each, Adam's step in six operations.
  const double unit = std::ldexp(1.0, -24), w2 = square(c);
  EXPECT_LT(std::abs(found.residual()), unit * (6 * w2 + 12 * std::sqrt(w2 * found.second_order)));
  EXPECT_NE(found.residual(), 0) << "it is measured, not what is left by construction";
}

TEST(NormBudget, MergesAndDoesNotDependOnThreads) {
  const auto c = course<float>(60000, 0.02);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = norm_budget(c.updated(), kStep);
  omp_set_num_threads(3);
  const auto three = norm_budget(c.updated(), kStep);
  omp_set_num_threads(before);
  EXPECT_EQ(one.change, three.change);
  EXPECT_EQ(one.gradient, three.gradient);
  NormBudget sum;
  for (const std::size_t from : {0U, 20000U, 40000U})
    merge(sum, norm_budget(Updated<float>{&c.before[from], &c.after[from], &c.exp_avg[from],
                                          &c.exp_avg_sq[from], 20000},
                           kStep));
  EXPECT_NEAR(sum.change, one.change, 1e-12 * square(c));
  EXPECT_NEAR(sum.residual(), one.residual(), 1e-12 * square(c));
}

}  // namespace weightscope
