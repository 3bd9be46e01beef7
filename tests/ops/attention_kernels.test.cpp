// The attention kernels of every instruction set that this machine has, against double precision.
#include <omp.h>

#include <cmath>

#include "ops/cpu/dispatch.hpp"
#include "ops/support.hpp"

namespace weightscope::ops {
namespace {

constexpr Masks kMasks{2026, {9, (std::int64_t{1} << 32) + 5}};

struct Problem {
  cpu::AttentionShape shape;
  at::Tensor qkv, dout;
  double dropped = 0;
  void drop(double p) {
    dropped = p;
    shape.drop = drop_of(Attention{shape.batch, shape.heads, p, kMasks}, shape.tokens);
  }
};
struct Result {
  at::Tensor out, lse, dqkv;
};

/// A [rows, columns] tensor in the middle of a buffer whose rest is NaN: a kernel that reads beyond it shows.
at::Tensor fenced(std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  constexpr std::int64_t kFence = 64;
  return at::full({rows * columns + 2 * kFence}, NAN, type)
      .narrow(0, kFence, rows * columns)
      .view({rows, columns});
}
bool fence_holds(const at::Tensor& t) {
  const auto buffer = at::empty({0}, t.options()).set_(t.storage());
  return buffer.narrow(0, 0, 64).isnan().all().item<bool>() &&
         buffer.narrow(0, 64 + t.numel(), 64).isnan().all().item<bool>();
}

Problem problem(const cpu::AttentionShape& s, at::ScalarType type, double scale = 1) {
  const auto R = s.batch * s.tokens, C = s.heads * s.width;
  Problem p{s, fenced(R, 3 * C, type), fenced(R, C, type)};
  p.qkv.copy_(at::randn({R, 3 * C}));
  p.qkv.narrow(1, 0, 2 * C).mul_(scale);
  p.dout.copy_(at::randn({R, C}));
  return p;
}

template <class T>
Result run_typed(const cpu::Typed<T>& k, const Problem& p) {
  const auto at = [](const at::Tensor& t) { return static_cast<T*>(t.data_ptr()); };
  const auto type = p.qkv.scalar_type();
  Result r{fenced(p.dout.size(0), p.dout.size(1), type),
           fenced(p.shape.batch * p.shape.heads, p.shape.tokens, at::kFloat),
           fenced(p.qkv.size(0), p.qkv.size(1), type)};
  k.attention(at(p.qkv), at(r.out), r.lse.data_ptr<float>(), p.shape);
  k.attention_backward(at(p.dout), at(p.qkv), at(r.out), r.lse.data_ptr<float>(), at(r.dqkv), p.shape);
  return r;
}
Result run(const cpu::Kernels& k, const Problem& p) {
  return p.qkv.scalar_type() == at::kFloat ? run_typed(k.f32, p) : run_typed(k.b16, p);
}

/// The reference in double precision.
Result exact(const Problem& p) {
  const Attention a{p.shape.batch, p.shape.heads, p.dropped, kMasks};
  const auto qkv = p.qkv.to(at::kDouble), dout = p.dout.to(at::kDouble);
  Result r{at::empty_like(dout), at::empty({a.batch, a.heads, p.shape.tokens}, at::kDouble),
           at::empty_like(qkv)};
  reference::attention(qkv, r.out, r.lse, a);
  reference::attention_backward(dout, qkv, r.out, r.lse, r.dqkv, a);
  r.lse = r.lse.view({a.batch * a.heads, p.shape.tokens});
  return r;
}

/// LibTorch's own kernel: the yardstick for bf16.
Result aten_flash(const Problem& p) {
  const auto& s = p.shape;
  const auto heads = [&](const at::Tensor& x, std::int64_t parts) {
    return x.view({s.batch, s.tokens, parts, s.heads, s.width}).permute({2, 0, 3, 1, 4}).unbind(0);
  };
  const auto qkv = heads(p.qkv, 3);
  const auto [o, lse] = at::_scaled_dot_product_flash_attention_for_cpu(qkv[0], qkv[1], qkv[2], 0.0, true);
  const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      heads(p.dout, 1)[0], qkv[0], qkv[1], qkv[2], o, lse, 0.0, true);
  return {o.transpose(1, 2).reshape(p.dout.sizes()), lse,
          at::stack({dq, dk, dv}).permute({1, 3, 0, 2, 4}).reshape(p.qkv.sizes())};
}

/// |a − b| / |b| in the 2-norm.
double distance(const at::Tensor& a, const at::Tensor& b) {
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  return (x - y).norm().item<double>() / std::max(1e-30, y.norm().item<double>());
}

bool same_bits(const Result& a, const Result& b) {
  return at::equal(a.out, b.out) && at::equal(a.lse, b.lse) && at::equal(a.dqkv, b.dqkv);
}

class AttentionKernels : public testing::TestWithParam<std::tuple<const cpu::Kernels*, at::ScalarType>> {
 protected:
  void SetUp() override { at::manual_seed(20261123); }
  const cpu::Kernels& kernels() const { return *std::get<0>(GetParam()); }
  at::ScalarType work() const { return std::get<1>(GetParam()); }
  bool half() const { return work() == at::kBFloat16; }
};

/// Every length around a block of 16 rows, 256 keys (a chunk) and more; every kind of padding of the width.
const cpu::AttentionShape kShapes[] = {
    {1, 1, 1, 64},  {3, 1, 3, 8},    {2, 15, 3, 8},   {1, 16, 5, 16},  {2, 17, 3, 20},  {1, 31, 1, 48},
    {2, 64, 2, 64}, {1, 100, 3, 80}, {1, 257, 1, 64}, {1, 64, 1, 128}, {1, 40, 2, 256}, {1, 23, 3, 1},
    {2, 33, 1, 5},  {1, 300, 2, 24}, {1, 50, 1, 96},  {1, 48, 7, 33},  {1, 600, 1, 16}, {1, 530, 2, 64},
};

TEST_P(AttentionKernels, AgreeWithDoublePrecision) {
  for (const auto& s : kShapes)
    for (const double dropped : {0.0, 0.25}) {
      SCOPED_TRACE(testing::Message() << "B" << s.batch << " T" << s.tokens << " H" << s.heads << " D"
                                      << s.width << " p " << dropped);
      auto p = problem(s, work());
      p.drop(dropped);
      const auto got = run(kernels(), p), want = exact(p);
      EXPECT_LT(distance(got.out, want.out), half() ? 2.5e-3 : 1e-6);
      EXPECT_LT(distance(got.dqkv, want.dqkv), half() ? 3.5e-3 : 2e-6);
      EXPECT_LT(relative_error(got.out, want.out), half() ? 8e-3 : 2e-6);  // no single value is off
      EXPECT_LT(relative_error(got.dqkv, want.dqkv), half() ? 1e-2 : 4e-6);
      EXPECT_LT((got.lse.to(at::kDouble) - want.lse).abs().max().item<double>(), half() ? 1.5e-4 : 3e-6);
      EXPECT_TRUE(fence_holds(got.out) && fence_holds(got.lse) && fence_holds(got.dqkv));
    }
}

TEST_P(AttentionKernels, AreAsExactAsLibTorchsOwn) {
  for (const auto& s :
       {cpu::AttentionShape{2, 64, 3, 64}, {1, 257, 2, 64}, {1, 100, 1, 128}, {1, 600, 1, 32}})
    for (const double scale : {1.0, 3.0}) {
      SCOPED_TRACE(testing::Message() << "T" << s.tokens << " D" << s.width << " scale " << scale);
      const auto p = problem(s, work(), scale);
      const auto got = run(kernels(), p), aten = aten_flash(p), want = exact(p);
      const double factor = half() ? 1.05 : 2;  // bf16: the operands' rounding; floats: the order of the sums
      EXPECT_LT(distance(got.out, want.out), factor * distance(aten.out, want.out));
      EXPECT_LT(distance(got.dqkv, want.dqkv), factor * distance(aten.dqkv, want.dqkv));
    }
}

TEST_P(AttentionKernels, GiveTheSameBitsForAnyNumberOfThreads) {
  const int before = omp_get_max_threads();
  // One head in several parts, several heads in parts, one part per head.
  for (const auto& s : {cpu::AttentionShape{1, 1100, 1, 40}, {1, 700, 3, 16}, {4, 33, 3, 24}}) {
    auto p = problem(s, work());
    p.drop(s.tokens == 700 ? 0.1 : 0);
    omp_set_num_threads(1);
    const auto alone = run(kernels(), p);
    for (const int threads : {2, 3, 7}) {
      omp_set_num_threads(threads);
      EXPECT_TRUE(same_bits(run(kernels(), p), alone)) << threads << " threads, T " << s.tokens;
    }
  }
  omp_set_num_threads(before);
}

TEST_P(AttentionKernels, DoNotSeeTheFuture) {
  const cpu::AttentionShape s{1, 70, 2, 24};
  for (const std::int64_t t : {1, 15, 16, 37, 69}) {
    auto p = problem(s, work());
    const auto before = run(kernels(), p);
    p.qkv.narrow(0, t, s.tokens - t).copy_(at::randn({s.tokens - t, 3 * 48}));
    const auto after = run(kernels(), p);
    EXPECT_TRUE(at::equal(before.out.narrow(0, 0, t), after.out.narrow(0, 0, t))) << t;
    EXPECT_TRUE(at::equal(before.lse.narrow(1, 0, t), after.lse.narrow(1, 0, t))) << t;
    EXPECT_FALSE(at::equal(before.out.narrow(0, t, 1), after.out.narrow(0, t, 1))) << t;
    p.dout.narrow(0, t, s.tokens - t).zero_();  // what nobody asks for has no gradient
    const auto masked = run(kernels(), p);
    EXPECT_EQ(masked.dqkv.narrow(0, t, s.tokens - t).abs().max().item<float>(), 0) << t;
    EXPECT_GT(masked.dqkv.narrow(0, t - 1, 1).abs().max().item<float>(), 0) << t;
  }
}

TEST_P(AttentionKernels, AverageTheValuesWhereAllScoresAreEqual) {
  const cpu::AttentionShape s{1, 50, 1, 16};
  const auto p = problem(s, work(), 0);
  const auto got = run(kernels(), p);
  const auto counts = at::arange(1, 51, at::kDouble);
  const auto mean = p.qkv.narrow(1, 32, 16).to(at::kDouble).cumsum(0) / counts.view({50, 1});
  EXPECT_LT(relative_error(got.out, mean), tolerance(work()));
  EXPECT_LT((got.lse.to(at::kDouble) - counts.log().view({1, 50})).abs().max().item<double>(), 1e-6);
}

TEST_P(AttentionKernels, ScoresOfTenThousandDoNotOverflow) {
  const cpu::AttentionShape s{1, 90, 2, 64};
  const auto p = problem(s, work(), 60);
  const auto got = run(kernels(), p), want = exact(p);
  EXPECT_GT(want.lse.abs().max().item<double>(), 5e3);
  EXPECT_LT(relative_error(got.lse, want.lse), 1e-6);
  EXPECT_LT(distance(got.out, want.out), half() ? 4e-3 : 2e-3);  // a score is known to 2^-11
  EXPECT_TRUE(got.dqkv.isfinite().all().item<bool>());
}

TEST_P(AttentionKernels, ScoresFarBelowTheLargestWeighNothing) {
  const cpu::AttentionShape s{1, 40, 1, 16};
  auto p = problem(s, work());
  p.qkv.narrow(1, 0, 32).zero_();
  p.qkv.select(1, 0).fill_(100);                     // every query looks for the first component of a key,
  p.qkv.select(1, 16).narrow(0, 0, 1).fill_(100);    // which only the first key has,
  p.qkv.select(1, 16).narrow(0, 1, 39).fill_(-100);  // and the others have the opposite of
  const auto got = run(kernels(), p);
  EXPECT_LT(relative_error(got.out, p.qkv.narrow(0, 0, 1).narrow(1, 32, 16).expand({40, 16})),
            half() ? 4e-3 : 1e-6);
  EXPECT_LT(relative_error(got.lse, at::full({1, 40}, 2500.0)), 1e-6);
}

TEST_P(AttentionKernels, ShowANotANumberWhereItIsSeenAndNowhereElse) {
  const cpu::AttentionShape s{1, 40, 2, 16};
  for (const std::int64_t column : {0, 32}) {  // in q of head 0, in k of head 0
    auto p = problem(s, work());
    p.qkv[21][column] = NAN;
    const auto got = run(kernels(), p);
    const auto bad = got.out.narrow(1, 0, 16).isnan().all(1);
    for (std::int64_t t = 0; t < 40; ++t)
      EXPECT_EQ(bad[t].item<bool>(), column == 0 ? t == 21 : t >= 21) << column << " " << t;
    EXPECT_TRUE(got.lse[0][21].isnan().item<bool>());
    EXPECT_TRUE(got.out.narrow(1, 16, 16).isfinite().all().item<bool>());  // head 1
    EXPECT_TRUE(got.dqkv[21][column].isnan().item<bool>());
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, AttentionKernels,
                         testing::Combine(testing::ValuesIn(cpu::usable_kernels()),
                                          testing::Values(at::kFloat, at::kBFloat16)),
                         [](const auto& each) {
                           return std::string(std::get<0>(each.param)->isa) + "_" +
                                  c10::toString(std::get<1>(each.param));
                         });

}  // namespace
}  // namespace weightscope::ops
