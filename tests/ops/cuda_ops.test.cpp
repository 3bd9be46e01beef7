// Products and attention in GPU memory, through cuBLASLt and cuDNN, compared with the CPU's in double.
#include "ops/cuda/cudnn_attention.hpp"
#include "ops/support.hpp"
#include "support/device.hpp"

namespace weightscope::ops {

class OnGpu : public OnlyWithGpu<BothTypes> {};

TEST_P(OnGpu, LinearLayersAgreeWithDoublePrecision) {
  const Gemm gemm;
  for (const auto& [R, K, N] :
       {std::array<std::int64_t, 3>{8, 8, 16}, {512, 768, 2304}, {1000, 3072, 768}, {64, 1600, 1600}}) {
    const auto x = random_tensor({R, K}, work()), w = random_tensor({N, K}, work(), 0.05),
               b = random_tensor({N}, work()), dy = random_tensor({R, N}, work());
    const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
    for (const bool bias : {true, false}) {
      at::Tensor y = gpu(at::empty({R, N}, work()));
      linear(gpu(x), gpu(w), bias ? gpu(b) : at::Tensor(), y, gemm);
      const auto exact = at::matmul(wide(x), wide(w).t()) + (bias ? wide(b) : at::zeros({N}, at::kDouble));
      EXPECT_LT(relative_error(y.cpu(), exact), allowed());
    }
    at::Tensor dx = gpu(at::empty({R, K}, work())), dw = gpu(at::ones({N, K})), db = gpu(at::ones({N}));
    linear_backward_input(gpu(dy), gpu(w), dx, gemm);
    EXPECT_LT(relative_error(dx.cpu(), at::matmul(wide(dy), wide(w))), allowed());
    at::Tensor half = gpu(at::empty({2048 * K}, work()));
    linear_backward_weight(gpu(dy), gpu(x), dw, Write::add, {{}, half, {}});
    const auto exact = at::matmul(wide(dy).t(), wide(x));
    EXPECT_LT(relative_error(dw.cpu(), exact + 1), 2e-5);
    linear_backward_weight(gpu(dy), gpu(x), dw, Write::assign, {{}, half, {}});
    EXPECT_LT(relative_error(dw.cpu(), exact), 2e-5);
    bias_backward(gpu(dy), db, Write::add);
    EXPECT_LT(relative_error(db.cpu(), wide(dy).sum(0) + 1), 2e-5);
  }
}

TEST_P(OnGpu, GeluInsideTheProductIsGeluAfterIt) {
  const Gemm gemm;
  const std::int64_t R = 256, C = 768, H = 3072;
  for (const bool bias : {true, false}) {
    const auto x = gpu(random_tensor({R, C}, work())), w = gpu(random_tensor({H, C}, work(), 0.05)),
               b = bias ? gpu(random_tensor({H}, work())) : at::Tensor(),
               dy = gpu(random_tensor({R, C}, work())), back = gpu(random_tensor({C, H}, work(), 0.05));
    at::Tensor before1 = at::empty({R, H}, x.options()), y1 = at::empty_like(before1),
               before2 = at::empty_like(before1), y2 = at::empty_like(before1);
    linear_gelu(x, w, b, before1, y1, Gelu::tanh, gemm);
    linear(x, w, b, before2, gemm);
    gelu(before2, y2, Gelu::tanh);
    EXPECT_LT(relative_error(before1.cpu(), before2.cpu()), allowed());
    EXPECT_LT(relative_error(y1.cpu(), y2.cpu()), allowed());
    at::Tensor d1 = at::empty_like(before1), d2 = at::empty_like(before1), db1 = gpu(at::zeros({H})),
               db2 = gpu(at::zeros({H}));
    linear_backward_input_gelu(dy, back, before1, d1, db1, Gelu::tanh, Write::assign, gemm);
    linear_backward_input(dy, back, d2, gemm);
    gelu_backward(before1, d2, db2, Gelu::tanh, Write::assign);
    EXPECT_LT(relative_error(d1.cpu(), d2.cpu()), allowed());
    EXPECT_LT(relative_error(db1.cpu(), db2.cpu()), allowed());
  }
}

TEST_P(OnGpu, AttentionAgreesWithTheReference) {
  for (const auto& [B, T, H, D] : {std::array<std::int64_t, 4>{1, 8, 1, 64},
                                   {2, 100, 3, 64},
                                   {1, 1024, 2, 64},
                                   {3, 257, 2, 32},
                                   {1, 300, 2, 128},
                                   {2, 64, 2, 8}}) {
    const Attention shape{B, H};
    const auto qkv = random_tensor({B * T, 3 * H * D}, work()), dout = random_tensor({B * T, H * D}, work());
    at::Tensor out1 = gpu(at::empty({B * T, H * D}, work())), out2 = at::empty({B * T, H * D}, at::kFloat),
               lse1 = gpu(at::empty({B, H, T})), lse2 = at::empty({B, H, T}), d1 = gpu(at::empty_like(qkv)),
               d2 = at::empty({B * T, 3 * H * D}, at::kFloat);
    attention(gpu(qkv), out1, lse1, shape);
    reference::attention(qkv.to(at::kFloat), out2, lse2, shape);
    attention_backward(gpu(dout), gpu(qkv), out1, lse1, d1, shape);
    reference::attention_backward(dout.to(at::kFloat), qkv.to(at::kFloat), out2, lse2, d2, shape);
    EXPECT_LT(relative_error(out1.cpu(), out2), allowed()) << B << " " << T << " " << H << " " << D;
    EXPECT_LT(relative_error(lse1.cpu(), lse2), 1e-4);
    EXPECT_LT(relative_error(d1.cpu(), d2), 2 * allowed()) << B << " " << T << " " << H << " " << D;
  }
}

class RepeatsOnGpu : public GpuTest {};

TEST_F(RepeatsOnGpu, GradientsOfAttentionHaveTheSameBitsEachTime) {
  const cuda::CudnnAttention::Shape shape{4, 1024, 12, 64};
  const std::int64_t rows = shape.B * shape.T, width = shape.H * shape.D;
  const auto qkv = gpu(random_tensor({rows, 3 * width}, at::kBFloat16)),
             dout = gpu(random_tensor({rows, width}, at::kBFloat16)), out = at::empty_like(dout),
             lse = gpu(at::empty({shape.B, shape.H, shape.T}));
  cuda::CudnnAttention attention(cuda::Choice::repeatable);
  const auto bytes = static_cast<std::int64_t>(attention.workspace_bytes(shape));
  const auto space = at::empty({bytes}, qkv.options().dtype(at::kByte));
  attention.forward(shape, qkv.data_ptr(), out.data_ptr(), lse.data_ptr<float>(), space.data_ptr(), nullptr);
  const auto gradients = [&] {
    const auto dqkv = at::zeros_like(qkv);
    attention.backward(shape, dout.data_ptr(), qkv.data_ptr(), out.data_ptr(), lse.data_ptr<float>(),
                       dqkv.data_ptr(), space.data_ptr(), nullptr);
    return dqkv.cpu();
  };
  const auto first = gradients();
  EXPECT_GT(first.abs().sum().item<double>(), 0);
  for (int again = 0; again < 5; ++again) EXPECT_TRUE(at::equal(gradients(), first)) << again;
}

WEIGHTSCOPE_BOTH_TYPES(OnGpu);

}  // namespace weightscope::ops
