#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {

void residual_layer_norm(const at::Tensor& residual_RC, const at::Tensor& branch_RC, at::Tensor& s_RC,
                         const at::Tensor& w_C, const at::Tensor& b_C, at::Tensor& y_RC, at::Tensor& mean_R,
                         at::Tensor& rstd_R) {
  if (cuda::serves_rows(y_RC))
    return cuda::residual_layer_norm(residual_RC, branch_RC, s_RC, w_C, b_C, y_RC, mean_R, rstd_R);
  if (!has_kernel(y_RC))
    return reference::residual_layer_norm(residual_RC, branch_RC, s_RC, w_C, b_C, y_RC, mean_R, rstd_R);
  with_kernels(y_RC, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.residual_layer_norm(pointer<float>(residual_RC), pointer<T>(branch_RC), pointer<float>(s_RC),
                          pointer<float>(w_C), pointer<float>(b_C), pointer<T>(y_RC), pointer<float>(mean_R),
                          pointer<float>(rstd_R), y_RC.size(0), y_RC.size(1));
  });
}

void layer_norm_backward(const at::Tensor& dy_RC, const at::Tensor& s_RC, const at::Tensor& mean_R,
                         const at::Tensor& rstd_R, const at::Tensor& w_C, at::Tensor& ds_RC, Write onto,
                         at::Tensor& ds_work_RC, at::Tensor dw_C, at::Tensor db_C, at::Tensor ds_sum_C,
                         Write write) {
  if (cuda::serves_rows(dy_RC))
    return cuda::layer_norm_backward(dy_RC, s_RC, mean_R, rstd_R, w_C, ds_RC, onto, ds_work_RC, dw_C, db_C,
                                     ds_sum_C, write);
  if (!has_kernel(dy_RC))
    return reference::layer_norm_backward(dy_RC, s_RC, mean_R, rstd_R, w_C, ds_RC, onto, ds_work_RC, dw_C,
                                          db_C, ds_sum_C, write);
  with_kernels(dy_RC, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    T* work = ds_work_RC.is_same(ds_RC) ? nullptr : pointer<T>(ds_work_RC);
    k.layer_norm_backward(pointer<T>(dy_RC), pointer<float>(s_RC), pointer<float>(mean_R),
                          pointer<float>(rstd_R), pointer<float>(w_C), pointer<float>(ds_RC),
                          onto == Write::add, work, pointer<float>(dw_C), pointer<float>(db_C),
                          write == Write::add, dy_RC.size(0), dy_RC.size(1));
  });
  if (ds_sum_C.defined()) bias_backward(ds_work_RC, std::move(ds_sum_C), write);
}

}  // namespace weightscope::ops
