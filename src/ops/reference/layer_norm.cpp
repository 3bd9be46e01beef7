#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {

void residual_layer_norm(const at::Tensor& residual_RC, const at::Tensor& branch_RC, at::Tensor& s_RC,
                         const at::Tensor& w_C, const at::Tensor& b_C, at::Tensor& y_RC, at::Tensor& mean_R,
                         at::Tensor& rstd_R) {
  const auto s = branch_RC.defined() ? residual_RC + branch_RC.to(residual_RC.scalar_type()) : residual_RC;
  if (branch_RC.defined()) s_RC.copy_(s);
  mean_R.copy_(s.mean(1));
  rstd_R.copy_(1 / (s.var(1, /*unbiased=*/false) + 1e-5).sqrt());
  auto y = (s - mean_R.unsqueeze(1)) * rstd_R.unsqueeze(1) * w_C;
  if (b_C.defined()) y = y + b_C;
  y_RC.copy_(y);
}

void layer_norm_backward(const at::Tensor& dy_RC, const at::Tensor& s_RC, const at::Tensor& mean_R,
                         const at::Tensor& rstd_R, const at::Tensor& w_C, at::Tensor& ds_RC, Write onto,
                         at::Tensor& ds_work_RC, at::Tensor dw_C, at::Tensor db_C, at::Tensor ds_sum_C,
                         Write write) {
  const auto dy = dy_RC.to(s_RC.scalar_type()), n = (s_RC - mean_R.unsqueeze(1)) * rstd_R.unsqueeze(1),
             d = dy * w_C;
  write_to(dw_C, (dy * n).sum(0), write == Write::add);
  if (db_C.defined()) write_to(db_C, dy.sum(0), write == Write::add);
  write_to(ds_RC, (d - d.mean(1, true) - n * (d * n).mean(1, true)) * rstd_R.unsqueeze(1),
           onto == Write::add);
  if (!ds_work_RC.is_same(ds_RC)) ds_work_RC.copy_(ds_RC);
  if (ds_sum_C.defined())
    write_to(ds_sum_C, ds_work_RC.sum(at::IntArrayRef{0}, false, ds_sum_C.scalar_type()),
             write == Write::add);
}

}  // namespace weightscope::ops::reference
