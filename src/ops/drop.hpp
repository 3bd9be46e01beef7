#pragma once
// Dropout (Srivastava et al. 2014) as the operators and kernels take it. Masks are never stored: element
// (row, column) is dropped where its word of a Philox stream, at counter (row, column / 4), lies below a
// threshold.
#include <cstdint>

#include "core/philox.hpp"

namespace weightscope::ops {

/// What all masks of a micro-batch have in common.
struct MaskOrigin {
  std::uint64_t salt = 0;         ///< of (seed, step)
  std::int64_t first_sample = 0;  ///< global index of the first row of tokens
};

/// The masks of one place in the model, in one micro-batch. They follow samples: how those are split over
/// ranks and micro-batches does not matter.
struct Masks {
  std::uint64_t place = 0;  ///< the key of its name
  MaskOrigin origin;
  /// The same in device memory, or null. Kernels then read it there: a recorded graph is replayed for other
  /// steps and samples.
  const MaskOrigin* on_device = nullptr;
  Philox stream() const { return Philox(place ^ origin.salt); }
};

struct Drop {
  std::uint64_t key = 0;
  std::int64_t first_row = 0;   ///< of the stream, for the first row
  std::uint32_t threshold = 0;  ///< p · 2^32; 0: nothing is dropped
  float keep = 1;               ///< 1 / (1 − p): what all else is multiplied by
  std::int64_t rows_per_sample = 0;
  const MaskOrigin* origin = nullptr;  ///< if not null: still to be worked into key and first_row
};
/// 0 <= p < 1. rows_per_sample: of the stream.
Drop drop_of(double p, const Masks& masks, std::int64_t rows_per_sample);
/// The same for a kernel on the device: to be settled there where masks.on_device is set.
Drop drop_on_device(double p, const Masks& masks, std::int64_t rows_per_sample);

/// With key and first_row as they are meant. Where the origin is: kernels call it.
constexpr Drop settled(Drop d) {
  if (d.origin == nullptr) return d;
  d.key ^= d.origin->salt;
  d.first_row += d.origin->first_sample * d.rows_per_sample;
  d.origin = nullptr;
  return d;
}

}  // namespace weightscope::ops
