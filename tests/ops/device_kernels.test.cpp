// The kernels of ops/cuda in GPU memory, compared with the references. kernels_on_host.test.cpp runs the same
// tests, and the same kernels, on the host.
#include "ops/cuda/ops_cuda.hpp"
#include "ops/device_update.hpp"
#include "ops/support.hpp"
#include "support/device.hpp"

namespace weightscope::ops {

class DeviceKernels : public OnlyWithGpu<BothTypes> {};
class EmbeddingKernels : public GpuTest {};

constexpr std::array<std::array<std::int64_t, 2>, 8> kSizes{
    {{1, 8}, {2700, 8}, {37, 192}, {129, 768}, {17, 1600}, {5, 4096}, {140, 2112}, {9, 1000}}};

TEST_P(DeviceKernels, LayerNormForwardAgreesWithTheReference) {
  for (const auto& [R, C] : kSizes)
    for (const bool bias : {true, false})
      for (const bool with_branch : {true, false}) {
        const auto residual = random_tensor({R, C}, at::kFloat), w = random_tensor({C}, at::kFloat);
        const auto b = bias ? random_tensor({C}, at::kFloat) : at::Tensor(),
                   branch = with_branch ? random_tensor({R, C}, work()) : at::Tensor();
        at::Tensor s1 = gpu(at::zeros({R, C})), s2 = at::zeros({R, C}), y1 = gpu(at::empty({R, C}, work())),
                   y2 = at::empty({R, C}, work());
        at::Tensor m1 = gpu(at::empty({R})), m2 = at::empty({R}), r1 = gpu(at::empty({R})),
                   r2 = at::empty({R});
        on_device::residual_layer_norm(gpu(residual), gpu(branch), s1, gpu(w), gpu(b), y1, m1, r1);
        reference::residual_layer_norm(residual, branch, s2, w, b, y2, m2, r2);
        EXPECT_TRUE(at::equal(s1.cpu(), s2));
        EXPECT_LT(relative_error(y1.cpu(), y2), allowed()) << R << " x " << C;
        EXPECT_LT(relative_error(r1.cpu(), r2), 2e-6);
      }
}

TEST_P(DeviceKernels, LayerNormBackwardAgreesWithTheReference) {
  for (const auto& [R, C] : kSizes)
    for (const auto write : {Write::assign, Write::add})
      for (const bool bias : {true, false}) {
        const auto s = random_tensor({R, C}, at::kFloat), w = random_tensor({C}, at::kFloat),
                   dy = random_tensor({R, C}, work());
        at::Tensor unused = at::empty({R, C}), y = at::empty({R, C}, work()), mean = at::empty({R}),
                   rstd = at::empty({R});
        reference::residual_layer_norm(s, at::Tensor(), unused, w, at::Tensor(), y, mean, rstd);
        at::Tensor ds1 = gpu(at::ones({R, C})), ds2 = at::ones({R, C}),
                   work1 = gpu(at::empty({R, C}, work())), work2 = at::empty({R, C}, work());
        at::Tensor dw1 = gpu(at::ones({C})), dw2 = at::ones({C}),
                   db1 = bias ? gpu(at::ones({C})) : at::Tensor(), db2 = bias ? at::ones({C}) : at::Tensor(),
                   sum1 = bias ? gpu(at::ones({C})) : at::Tensor(),
                   sum2 = bias ? at::ones({C}) : at::Tensor();
        on_device::layer_norm_backward(gpu(dy), gpu(s), gpu(mean), gpu(rstd), gpu(w), ds1, write, work1, dw1,
                                       db1, sum1, write);
        reference::layer_norm_backward(dy, s, mean, rstd, w, ds2, write, work2, dw2, db2, sum2, write);
        EXPECT_LT(relative_error(ds1.cpu(), ds2), 2e-5) << R << " x " << C;
        EXPECT_LT(relative_error(work1.cpu(), work2), allowed() + 2e-5);
        EXPECT_LT(relative_error(dw1.cpu(), dw2), 2e-5);
        if (bias) {
          EXPECT_LT(relative_error(db1.cpu(), db2), 2e-5);
          EXPECT_LT(relative_error(sum1.cpu(), sum2), allowed());
        }
      }
}

TEST_P(DeviceKernels, GeluAndItsGradientAgreeWithTheReference) {
  for (const auto kind : {Gelu::tanh, Gelu::erf})
    for (const auto& [R, N] : kSizes) {
      const auto x = random_tensor({R, N}, work(), 2), dy = random_tensor({R, N}, work());
      at::Tensor y1 = gpu(at::empty({R, N}, work())), y2 = at::empty({R, N}, work()), d1 = gpu(dy),
                 d2 = dy.clone();
      at::Tensor db1 = gpu(at::ones({N})), db2 = at::ones({N});
      on_device::gelu(gpu(x), y1, kind), reference::gelu(x, y2, kind);
      on_device::gelu_backward(gpu(x), d1, db1, kind, Write::add),
          reference::gelu_backward(x, d2, db2, kind, Write::add);
      EXPECT_LT(relative_error(y1.cpu(), y2), allowed());
      EXPECT_LT(relative_error(d1.cpu(), d2), allowed());
      EXPECT_LT(relative_error(db1.cpu(), db2), allowed());
    }
}

TEST_P(DeviceKernels, CrossEntropyAgreesWithTheReference) {
  for (const auto& [R, vocab, columns] :
       {std::array<std::int64_t, 3>{7, 61, 64}, {33, 50257, 50304}, {1, 128, 128}, {5, 100, 4224}})
    for (const double dscale : {0.0, 1.0 / 64}) {
      const auto logits = random_tensor({R, columns}, work(), 3);
      const auto targets = at::randint(vocab, {R}, at::kLong);
      at::Tensor l1 = gpu(logits), l2 = logits.clone(), sum1 = gpu(at::ones({1}, at::kDouble)),
                 sum2 = at::ones({1}, at::kDouble);
      on_device::cross_entropy(l1, gpu(targets), vocab, dscale, sum1);
      reference::cross_entropy(l2, targets, vocab, dscale, sum2);
      EXPECT_LT(relative_error(sum1.cpu(), sum2), 1e-5) << R;
      EXPECT_LT(relative_error(l1.cpu(), l2), allowed()) << R;
      if (dscale != 0 && columns > vocab) {
        EXPECT_EQ(l1.narrow(1, vocab, columns - vocab).abs().max().item<float>(), 0);
      }
    }
}

TEST_F(EmbeddingKernels, AndItsGradientAgreeWithTheReference) {
  at::manual_seed(20261123);
  for (const auto& [B, T, C, V] : {std::array<std::int64_t, 4>{1, 1, 8, 5},
                                   {3, 17, 64, 11},
                                   {8, 256, 768, 3},
                                   {4, 100, 1600, 977},
                                   {4, 100, 64, 50257},
                                   {16, 64, 32, 1}}) {
    const auto tokens = at::randint(V, {B * T}, at::kLong);
    const auto wte = random_tensor({V, C}, at::kFloat), wpe = random_tensor({T + 3, C}, at::kFloat),
               dx = random_tensor({B * T, C}, at::kFloat);
    at::Tensor x1 = gpu(at::empty({B * T, C})), x2 = at::empty({B * T, C});
    on_device::embedding(gpu(tokens), gpu(wte), gpu(wpe), T, x1),
        reference::embedding(tokens, wte, wpe, T, x2);
    EXPECT_TRUE(at::equal(x1.cpu(), x2));
    for (const auto write : {Write::assign, Write::add}) {
      at::Tensor dwte1 = gpu(at::ones({V, C})), dwte2 = at::ones({V, C}), dwpe1 = gpu(at::ones({T + 3, C})),
                 dwpe2 = at::ones({T + 3, C});
      on_device::embedding_backward(gpu(dx), gpu(tokens), T, dwte1, dwpe1, write);
      reference::embedding_backward(dx, tokens, T, dwte2, dwpe2, write);
      EXPECT_LT(relative_error(dwte1.cpu(), dwte2), 1e-5) << B << " x " << T << ", V " << V;
      EXPECT_LT(relative_error(dwpe1.cpu(), dwpe2), 1e-5);
      at::Tensor again = gpu(at::ones({V, C})), again_pe = gpu(at::ones({T + 3, C}));
      on_device::embedding_backward(gpu(dx), gpu(tokens), T, again, again_pe, write);
      EXPECT_TRUE(at::equal(again, dwte1)) << "the sum must have one order";
    }
  }
}

TEST_P(DeviceKernels, QkNormAndItsGradientAgreeWithTheReference) {
  for (const auto& [R, H, D] :
       {std::array<std::int64_t, 3>{1, 1, 2}, {37, 3, 20}, {5, 2, 64}, {700, 12, 33}, {3, 2, 256}})
    for (const bool bias : {true, false}) {
      const auto random = [&, D = D](double mean) { return random_tensor({D}, at::kFloat, 0.3) + mean; };
      const QkNorm norm{random(1), bias ? random(0) : at::Tensor(), random(1),
                        bias ? random(0) : at::Tensor()};
      const auto each = [&](auto f) {
        return QkNorm{f(norm.q_w_D), f(norm.q_b_D), f(norm.k_w_D), f(norm.k_b_D)};
      };
      const auto x = random_tensor({R, 3 * H * D}, work(), 3), dy = random_tensor({R, 3 * H * D}, work());
      at::Tensor x1 = gpu(x), x2 = x.clone(), raw1 = gpu(at::zeros({R, 2 * H * D}, work())),
                 raw2 = raw1.cpu().clone();
      on_device::qk_norm(x1, raw1, each(gpu), H), reference::qk_norm(x2, raw2, norm, H);
      SCOPED_TRACE(testing::Message() << R << " x " << H << " x " << D);
      EXPECT_LT(relative_error(x1.cpu(), x2), allowed());
      EXPECT_TRUE(at::equal(raw1.cpu(), raw2));
      EXPECT_TRUE(at::equal(x1.cpu().narrow(1, 2 * H * D, H * D), x.narrow(1, 2 * H * D, H * D)));  // v
      for (const auto write : {Write::assign, Write::add}) {
        const auto g1 = each(gpu), g2 = each([](const at::Tensor&t) { return t.defined() ? t.clone() : t; });
        at::Tensor d1 = gpu(dy), d2 = dy.clone();
        on_device::qk_norm_backward(d1, raw1, each(gpu), g1, H, write);
        reference::qk_norm_backward(d2, raw2, norm, g2, H, write);
        EXPECT_LT(relative_error(d1.cpu(), d2), allowed() + 2e-5);
        EXPECT_LT(relative_error(g1.q_w_D.cpu(), g2.q_w_D), 2e-5);
        EXPECT_LT(relative_error(g1.k_w_D.cpu(), g2.k_w_D), 2e-5);
        if (!bias) continue;
        EXPECT_LT(relative_error(g1.q_b_D.cpu(), g2.q_b_D), 2e-5);
        EXPECT_LT(relative_error(g1.k_b_D.cpu(), g2.k_b_D), 2e-5);
      }
    }
}

struct AttentionResult {
  at::Tensor out, lse, dqkv;
};
template <class Forward, class Backward>
AttentionResult attend(const at::Tensor& qkv, const at::Tensor& dout, const Attention& a, Forward forward,
                       Backward backward) {
  const auto T = qkv.size(0) / a.batch;
  AttentionResult r{at::full_like(dout, NAN),
                    at::full({a.batch, a.heads, T}, NAN, qkv.options().dtype(at::kFloat)),
                    at::full_like(qkv, NAN)};
  forward(qkv, r.out, r.lse, a);
  backward(dout, qkv, r.out, r.lse, r.dqkv, a);
  return r;
}

/// In memory, where a recorded graph reads it; what the host says then does not count.
struct OriginOnDevice {
  explicit OriginOnDevice(const Masks& m)
      : words(gpu(at::tensor({static_cast<std::int64_t>(m.origin.salt), m.origin.first_sample}, at::kLong))),
        masks{m.place, {~m.origin.salt, 77}, static_cast<const MaskOrigin*>(words.data_ptr())} {}
  at::Tensor words;
  Masks masks;
};

TEST_P(DeviceKernels, TiledAttentionAgreesWithTheReferenceAndHasOneOrder) {
  for (const auto& [B, T, H, D] : {std::array<std::int64_t, 4>{1, 1, 1, 1},
                                   {2, 65, 3, 64},
                                   {1, 200, 2, 24},
                                   {3, 31, 1, 5},
                                   {1, 70, 2, 80},
                                   {1, 129, 1, 128},
                                   {1, 33, 2, 256},
                                   {1, 97, 1, 162}})
    for (const double dropped : {0.0, 0.3}) {
      const auto qkv = random_tensor({B * T, 3 * H * D}, work()),
                 dout = random_tensor({B * T, H * D}, work());
      Attention a{B, H, dropped, {11, {std::uint64_t{3} << 40, 5}}};
      a.scale = T == 65 || T == 97 ? 0.3 : 1;
      const auto wide = [](const at::Tensor& t) { return t.to(at::kFloat); };
      const auto tiled =
                     attend(gpu(qkv), gpu(dout), a, &cuda::tiled_attention, &cuda::tiled_attention_backward),
                 plain =
                     attend(wide(qkv), wide(dout), a, &reference::attention, &reference::attention_backward);
      SCOPED_TRACE(testing::Message()
                   << "B " << B << " T " << T << " H " << H << " D " << D << " p " << dropped);
      EXPECT_LT(relative_error(tiled.out.cpu(), plain.out), allowed());
      EXPECT_LT(relative_error(tiled.lse.cpu(), plain.lse), 1e-6);
      EXPECT_LT(relative_error(tiled.dqkv.cpu(), plain.dqkv), 2 * allowed());
      const OriginOnDevice elsewhere(a.masks);
      a.masks = elsewhere.masks;
      const auto again =
          attend(gpu(qkv), gpu(dout), a, &cuda::tiled_attention, &cuda::tiled_attention_backward);
      EXPECT_TRUE(at::equal(again.out, tiled.out) && at::equal(again.dqkv, tiled.dqkv));
    }
}

TEST_P(DeviceKernels, DropoutDropsWhatTheCpuDrops) {
  for (const auto& [R, C] : kSizes) {
    auto x = random_tensor({R, C + 3}, work()), y = gpu(x), z = gpu(x);
    const Masks masks{7, {std::uint64_t{3} << 40, (std::int64_t{1} << 31) + 5}};
    const OriginOnDevice elsewhere(masks);
    dropout(x, 0.3, masks, 4);
    on_device::dropout(y, 0.3, masks, 4), on_device::dropout(z, 0.3, elsewhere.masks, 4);
    EXPECT_TRUE(at::equal(y.cpu(), x));
    EXPECT_TRUE(at::equal(z.cpu(), x));
  }
}

TEST_P(DeviceKernels, SumOfSquaresHasOneOrder) {
  for (const std::int64_t n : {1L, 1000L, 16384L, 1000003L}) {
    const auto x = random_tensor({n}, at::kFloat);
    const auto first = on_device::sum_of_squares(gpu(x)), again = on_device::sum_of_squares(gpu(x));
    EXPECT_TRUE(at::equal(first, again));
    EXPECT_LT(relative_error(first.cpu(), reference::sum_of_squares(x)), 1e-7);
  }
}

TEST_P(DeviceKernels, UpdatesLikeTheReferenceAndLeavesTheWeightsWhenSomethingIsNotFinite) {
  const std::int64_t n = 40000, cut = 30016;
  const std::vector<FlatPart> parts{{0, 29999, 0.1, 0.5}, {cut, n, 0.0}};
  const bool copies = work() == at::kBFloat16;
  auto w = random_tensor({n}, at::kFloat), g = random_tensor({n}, at::kFloat), m = at::zeros({n}),
       v = at::zeros({n});
  auto w1 = gpu(w), g1 = gpu(g), m1 = gpu(m), v1 = gpu(v);
  auto work1 = copies ? gpu(at::zeros({n}, at::kBFloat16)) : w1;
  DeviceUpdate update(parts, 0, n, {0.9, 0.95, 1e-8, 0.5, 10}, w1);
  const auto loss = gpu(at::full({1}, 25.0, at::kDouble)), squares = gpu(at::full({1}, 16.0, at::kDouble));
  for (std::int64_t step = 1; step <= 3; ++step) {
    update.set(step, 1e-2);
    update.run(w1, g1, m1, v1, work1, loss, squares, true);
    update.send_back(step, true);
    const auto got = update.outcome(step);
    EXPECT_EQ(got.loss, 2.5);
    EXPECT_EQ(got.grad_norm, 4);
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const auto piece = [&](const at::Tensor& t) {
        return t.narrow(0, parts[p].begin, parts[p].end - parts[p].begin);
      };
      auto moved = at::zeros({1}, at::kDouble);
      reference::adamw(
          piece(w), piece(g), piece(m), piece(v), at::Tensor(),
          {1e-2, 0.9, 0.95, 1e-8, parts[p].weight_decay, 0.5 / (4 + 1e-6), step, parts[p].step_scale}, moved);
      EXPECT_LT(std::abs(got.moved[p] / moved.item<double>() - 1), 1e-4);
    }
  }
  EXPECT_LT(relative_error(w1.cpu(), w), 1e-6);
  EXPECT_LT(relative_error(v1.cpu(), v), 1e-6);
  if (copies) {
    EXPECT_TRUE(at::equal(work1.narrow(0, 0, 29999), w1.narrow(0, 0, 29999).to(at::kBFloat16)));
  }
  const auto before = w1.clone(), moments = m1.clone();
  const auto broken = gpu(at::full({1}, std::numeric_limits<double>::infinity(), at::kDouble));
  update.set(4, 1e-2);
  update.run(w1, g1, m1, v1, work1, loss, broken, true);
  update.send_back(4, true);
  EXPECT_TRUE(std::isinf(update.outcome(4).grad_norm));
  EXPECT_TRUE(at::equal(w1, before) && at::equal(m1, moments));
}

WEIGHTSCOPE_BOTH_TYPES(DeviceKernels);

}  // namespace weightscope::ops
