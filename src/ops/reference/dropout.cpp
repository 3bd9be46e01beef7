#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {

void dropout(at::Tensor& x_RC, double p, const Masks& masks, std::int64_t T) {
  const auto stream = masks.stream();
  const std::int64_t first_row = masks.origin.first_sample * T;
  const std::int64_t R = x_RC.size(0), C = x_RC.size(1);
  auto mask = at::empty({R, C}, at::kDouble);
  auto* out = mask.data_ptr<double>();
  const double threshold = static_cast<double>(static_cast<std::uint64_t>(p * 4294967296.0)),
               keep = 1.0 / (1.0 - p);
  for (std::int64_t r = 0; r < R; ++r)
    for (std::int64_t i = 0; i < C; ++i) {
      const auto word =
          stream.block(static_cast<std::uint64_t>(i / 4),
                       static_cast<std::uint64_t>(first_row + r))[static_cast<std::size_t>(i % 4)];
      out[r * C + i] = word < threshold ? 0.0 : keep;
    }
  x_RC.mul_(mask.to(x_RC.options()));
}

}  // namespace weightscope::ops::reference
