#pragma once
// Dropout (Srivastava et al. 2014) as the kernels take it. Masks are never stored: element (row, column)
// is dropped where its word of a Philox stream, at counter (row, column / 4), lies below a threshold.
#include <cstdint>

namespace weightscope {
class Philox;
}

namespace weightscope::ops {

struct Drop {
  std::uint64_t key = 0;
  std::int64_t first_row = 0;   ///< of the stream, for the first row
  std::uint32_t threshold = 0;  ///< p · 2^32; 0: nothing is dropped
  float keep = 1;               ///< 1 / (1 − p): what all else is multiplied by
};
/// 0 <= p < 1.
Drop drop_of(double p, const Philox& stream, std::int64_t first_row);

}  // namespace weightscope::ops
