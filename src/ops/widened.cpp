#include "ops/widened.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/gemm.hpp"

namespace weightscope::ops {
namespace {

// Large enough for a GEMM to run at full speed, small enough for the second-level caches of a few cores.
constexpr std::int64_t kRows = 512, kOut = 1024;

/// Matrices cut one after the other from the scratch.
class Cutter {
 public:
  explicit Cutter(const at::Tensor& wide) : wide_(wide) {}
  at::Tensor take(std::int64_t rows, std::int64_t columns) {
    const auto from = used_;
    used_ += rows * columns;
    return wide_.narrow(0, from, rows * columns).view({rows, columns});
  }
  at::Tensor widened(const at::Tensor& x) {
    auto copy = take(x.size(0), x.size(1));
    copy.copy_(x);
    return copy;
  }

 private:
  const at::Tensor& wide_;
  std::int64_t used_ = 0;
};

/// f(from, count) over [0, n) in steps.
template <class F>
void in_steps(std::int64_t n, std::int64_t step, F&& f) {
  for (std::int64_t from = 0; from < n; from += step) f(from, std::min(step, n - from));
}

}  // namespace

std::int64_t wide_scratch_size(std::int64_t widest) {
  return kRows * widest + kOut * widest + kRows * std::max(kOut, widest);
}

namespace widened {

void linear(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& y_RN,
            const at::Tensor& wide) {
  in_steps(w_NK.size(0), kOut, [&](std::int64_t n, std::int64_t columns) {
    Cutter cut(wide);
    const auto w = cut.widened(w_NK.narrow(0, n, columns));
    in_steps(x_RK.size(0), kRows, [&](std::int64_t r, std::int64_t rows) {
      Cutter again = cut;
      const auto x = again.widened(x_RK.narrow(0, r, rows));
      auto y = again.take(rows, columns);
      if (b_N.defined())
        at::addmm_out(y, b_N.narrow(0, n, columns).to(at::kFloat), x, w.t());
      else
        at::mm_out(y, x, w.t());
      y_RN.narrow(0, r, rows).narrow(1, n, columns).copy_(y);
    });
  });
}

void input_gradient(const at::Tensor& dy_RN, const at::Tensor& w_NK, at::Tensor& dx_RK,
                    const at::Tensor& wide) {
  in_steps(dy_RN.size(0), kRows, [&](std::int64_t r, std::int64_t rows) {
    Cutter cut(wide);
    auto dx = cut.take(rows, w_NK.size(1));
    in_steps(w_NK.size(0), kOut, [&](std::int64_t n, std::int64_t columns) {
      Cutter again = cut;
      const auto w = again.widened(w_NK.narrow(0, n, columns));
      const auto dy = again.widened(dy_RN.narrow(0, r, rows).narrow(1, n, columns));
      if (n == 0)
        at::mm_out(dx, dy, w);
      else
        at::addmm_out(dx, dx, dy, w);
    });
    dx_RK.narrow(0, r, rows).copy_(dx);
  });
}

void weight_gradient(const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor& dw_NK, bool add,
                     const at::Tensor& wide) {
  in_steps(dy_RN.size(0), kRows, [&](std::int64_t r, std::int64_t rows) {
    Cutter cut(wide);
    const auto x = cut.widened(x_RK.narrow(0, r, rows));
    in_steps(dy_RN.size(1), kOut, [&](std::int64_t n, std::int64_t columns) {
      Cutter again = cut;
      const auto dy = again.widened(dy_RN.narrow(0, r, rows).narrow(1, n, columns));
      auto dw = dw_NK.narrow(0, n, columns);
      if (add || r > 0)
        at::addmm_out(dw, dw, dy.t(), x);
      else
        at::mm_out(dw, dy.t(), x);
    });
  });
}

}  // namespace widened
}  // namespace weightscope::ops
