#include "ops/drop.hpp"

#include "ops/ops.hpp"

namespace weightscope::ops {
namespace {

Drop drop_from(const MaskOrigin* origin, double p, const Masks& masks, std::int64_t rows_per_sample) {
  return {masks.place,
          0,
          static_cast<std::uint32_t>(p * 4294967296.0),
          static_cast<float>(1.0 / (1.0 - p)),
          rows_per_sample,
          origin};
}

}  // namespace

Drop drop_of(double p, const Masks& masks, std::int64_t rows_per_sample) {
  return settled(drop_from(&masks.origin, p, masks, rows_per_sample));
}

Drop drop_on_device(double p, const Masks& masks, std::int64_t rows_per_sample) {
  return masks.on_device == nullptr ? drop_of(p, masks, rows_per_sample)
                                    : drop_from(masks.on_device, p, masks, rows_per_sample);
}

Drop drop_of(const Attention& a, std::int64_t T) { return drop_of(a.dropout, a.masks, a.heads * T); }

}  // namespace weightscope::ops
