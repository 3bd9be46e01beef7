#include "ops/drop.hpp"

#include "ops/ops.hpp"

namespace weightscope::ops {

Drop drop_of(double p, const Philox& stream, std::int64_t first_row) {
  return {stream.key(), first_row, static_cast<std::uint32_t>(p * 4294967296.0),
          static_cast<float>(1.0 / (1.0 - p))};
}

Drop drop_of(const Attention& a, std::int64_t T) {
  return drop_of(a.dropout, a.stream, a.first_row * a.heads * T);
}

}  // namespace weightscope::ops
