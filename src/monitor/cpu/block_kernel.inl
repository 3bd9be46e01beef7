// The block kernel for one instruction set: WEIGHTSCOPE_ISA names it, WEIGHTSCOPE_VECTOR_BYTES is the width
// of its registers. No inline function or template of another header may be called here unless it is always
// inlined: the linker could keep this copy of it for callers on machines without the instructions.
#include <utility>

#include "monitor/cpu/block_kernel.hpp"
#include "monitor/digest_term.hpp"

namespace weightscope::WEIGHTSCOPE_ISA {
namespace {

constexpr std::uint32_t kLanes = 16;
constexpr std::uint32_t kFloats = WEIGHTSCOPE_VECTOR_BYTES / 4, kDoubles = WEIGHTSCOPE_VECTOR_BYTES / 8;
constexpr std::uint32_t kF = kLanes / kFloats, kD = kLanes / kDoubles;  // registers that hold 16 lanes

typedef float F __attribute__((vector_size(WEIGHTSCOPE_VECTOR_BYTES)));
typedef std::int32_t I __attribute__((vector_size(WEIGHTSCOPE_VECTOR_BYTES)));
typedef double D __attribute__((vector_size(WEIGHTSCOPE_VECTOR_BYTES)));
typedef float LooseF __attribute__((vector_size(WEIGHTSCOPE_VECTOR_BYTES), aligned(4), may_alias));
typedef std::int32_t LooseI __attribute__((vector_size(WEIGHTSCOPE_VECTOR_BYTES), aligned(4), may_alias));

/// kDoubles floats at p. Written lane by lane, which GCC 12 turns into one conversion;
/// __builtin_convertvector takes four instructions at 64 bytes.
template <std::uint32_t... lane>
D widen_lanes(const float* p, std::integer_sequence<std::uint32_t, lane...>) {
  return D{static_cast<double>(p[lane])...};
}
D widen(const float* p) { return widen_lanes(p, std::make_integer_sequence<std::uint32_t, kDoubles>()); }

/// 16 lanes to one sum, in lane order.
double total(const D* lanes) {
  double sum = 0;
  for (std::uint32_t r = 0; r < kD; ++r)
    for (std::uint32_t j = 0; j < kDoubles; ++j) sum += lanes[r][j];
  return sum;
}

void add_to_lane(D* lanes, std::uint32_t lane, double value) {
  lanes[lane / kDoubles][lane % kDoubles] += value;
}

/// monitor/bins.hpp slot_of(), on a register.
I slots_of(I bits) {
  const I magnitude = bits & kMagnitudeMask, sign = bits >> 31;
  I distance = (magnitude >> 20) - (kLowestKey - 1);
  distance = distance < 0 ? I{} : distance;
  distance = distance > kOverflowDistance ? I{} + kOverflowDistance : distance;
  distance -= magnitude >= kInfinityBits;  // a comparison that holds is −1
  return ((distance ^ sign) - sign) + kMiddleSlot;
}

/// The first pass in 16 lanes: everything that needs no mean.
struct FirstPass {
  I zeros[kF] = {}, largest[kF] = {};
  F low[kF], high[kF];
  D sum[kD] = {};

  FirstPass() {
    for (std::uint32_t r = 0; r < kF; ++r) low[r] = F{} + __builtin_inff(), high[r] = F{} - __builtin_inff();
  }
  void take_16(const float* x, std::uint32_t* slots) {
    for (std::uint32_t r = 0; r < kF; ++r) {
      const I bits = *reinterpret_cast<const LooseI*>(x + r * kFloats), magnitude = bits & kMagnitudeMask;
      const F v = *reinterpret_cast<const LooseF*>(x + r * kFloats);
      *reinterpret_cast<LooseI*>(slots + r * kFloats) = slots_of(bits);
      zeros[r] -= magnitude == 0;
      largest[r] = magnitude > largest[r] ? magnitude : largest[r];
      low[r] = v < low[r] ? v : low[r];
      high[r] = v > high[r] ? v : high[r];
    }
    for (std::uint32_t r = 0; r < kD; ++r) sum[r] += widen(x + r * kDoubles);
  }
};

/// Slots go through memory in tiles: left to itself the compiler takes them out of the register one by one,
/// which is slower than loading them.
constexpr std::uint32_t kTile = 512;
/// How far ahead memory is asked for: hardware prefetch stops at each page of 1024 floats.
constexpr std::uint32_t kAhead = 2048;

void count(const std::uint32_t* slots, std::uint32_t n, std::uint32_t* counters) {
  const std::uint32_t* const end = slots + n;
  for (; end - slots >= kCounterCopies; slots += kCounterCopies)
#pragma GCC unroll 8
    for (int c = 0; c < kCounterCopies; ++c) ++(counters + c * kCounterStride)[slots[c]];
  for (; slots < end; ++slots) ++counters[*slots];
}

/// Counts; sum, smallest and largest under the assumption that all is finite. False if it is not.
bool count_and_sum(const float* x, std::uint32_t n, std::uint32_t* counters, BlockStats& out) {
  FirstPass pass;
  alignas(64) std::uint32_t slots[kTile];
  const std::uint32_t whole = n / kLanes * kLanes, rest = n - whole;
  for (std::uint32_t at = 0; at < whole; at += kTile) {
    const std::uint32_t here = whole - at < kTile ? whole - at : kTile;
    for (std::uint32_t i = 0; i < here; i += kLanes) {
      __builtin_prefetch(x + at + i + kAhead);
      pass.take_16(x + at + i, slots + i);
    }
    count(slots, here, counters);
  }
  std::int32_t zeros = 0, largest = 0;
  if (rest > 0) {
    // The last few, filled up to 16 lanes with copies of the first of them, which change no minimum or
    // maximum; their zeros and their part of the sum are taken out again before they get in.
    float last[kLanes] = {};
    for (std::uint32_t j = 0; j < kLanes; ++j) last[j] = x[j < rest ? whole + j : whole];
    FirstPass tail;
    tail.take_16(last, slots);
    count(slots, rest, counters);
    for (std::uint32_t r = 0; r < kF; ++r) {
      pass.largest[r] = tail.largest[r] > pass.largest[r] ? tail.largest[r] : pass.largest[r];
      pass.low[r] = tail.low[r] < pass.low[r] ? tail.low[r] : pass.low[r];
      pass.high[r] = tail.high[r] > pass.high[r] ? tail.high[r] : pass.high[r];
    }
    for (std::uint32_t j = 0; j < rest; ++j) {
      zeros += tail.zeros[j / kFloats][j % kFloats];
      add_to_lane(pass.sum, j, static_cast<double>(last[j]));
    }
  }
  out.min = __builtin_inff(), out.max = -__builtin_inff();
  for (std::uint32_t j = 0; j < kLanes; ++j) {
    const std::uint32_t r = j / kFloats, lane = j % kFloats;
    zeros += pass.zeros[r][lane];
    largest = pass.largest[r][lane] > largest ? pass.largest[r][lane] : largest;
    out.min = pass.low[r][lane] < out.min ? pass.low[r][lane] : out.min;
    out.max = pass.high[r][lane] > out.max ? pass.high[r][lane] : out.max;
  }
  out.zeros = static_cast<std::uint32_t>(zeros), out.finite = n;
  out.mean = n > 0 ? total(pass.sum) / static_cast<double>(n) : 0;
  return largest < kInfinityBits;
}

/// The second pass, over finite values in the first-level cache.
void central_moments(const float* x, BlockStats& out) {
  D s2[kD] = {}, s3[kD] = {}, s4[kD] = {};
  const std::uint32_t whole = out.finite / kLanes * kLanes;
  for (std::uint32_t i = 0; i < whole; i += kLanes)
    for (std::uint32_t r = 0; r < kD; ++r) {
      const D d = widen(x + i + r * kDoubles) - out.mean, square = d * d;
      s2[r] += square, s3[r] += square * d, s4[r] += square * square;
    }
  for (std::uint32_t i = whole; i < out.finite; ++i) {
    const double d = static_cast<double>(x[i]) - out.mean, square = d * d;
    add_to_lane(s2, i - whole, square);
    add_to_lane(s3, i - whole, square * d);
    add_to_lane(s4, i - whole, square * square);
  }
  out.m2 = total(s2), out.m3 = total(s3), out.m4 = total(s4);
}

void distances(const float* x, const float* initial, BlockStats& out) {
  D moved[kD] = {}, start[kD] = {};
  const std::uint32_t whole = out.finite / kLanes * kLanes;
  for (std::uint32_t i = 0; i < whole; i += kLanes)
    for (std::uint32_t r = 0; r < kD; ++r) {
      const D from = widen(initial + i + r * kDoubles), d = widen(x + i + r * kDoubles) - from;
      moved[r] += d * d, start[r] += from * from;
    }
  for (std::uint32_t i = whole; i < out.finite; ++i) {
    const double from = static_cast<double>(initial[i]), d = static_cast<double>(x[i]) - from;
    add_to_lane(moved, i - whole, d * d);
    add_to_lane(start, i - whole, from * from);
  }
  out.distance2 = total(moved), out.initial2 = total(start);
}

/// The finite elements of x moved together, and those of `initial` that belong to them. Returns how many.
std::uint32_t keep_finite(const float* x, const float* initial, std::uint32_t n, float* kept,
                          float* kept_initial) {
  std::uint32_t m = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    std::int32_t bits;
    __builtin_memcpy(&bits, x + i, 4);
    if ((bits & kMagnitudeMask) >= kInfinityBits) continue;
    if (initial != nullptr) kept_initial[m] = initial[i];
    kept[m++] = x[i];
  }
  return m;
}

/// What follows the first pass, once all is finite.
void finish(const float* x, const float* initial, BlockStats& out) {
  out.min += 0.0f, out.max += 0.0f;  // −0 becomes +0: which of the two came first must not show
  central_moments(x, out);
  out.distance2 = out.initial2 = 0;
  if (initial != nullptr) distances(x, initial, out);
}

/// Non-finite values are counted already and enter nothing else: the rest is a smaller block.
[[gnu::noinline]] void run_without_nonfinite(const float* x, const float* initial, std::uint32_t n,
                                             BlockStats& out) {
  float kept[kBlock] = {}, kept_initial[kBlock] = {};
  std::uint32_t unused[kCounterCopies * kCounterStride] = {};
  const std::uint32_t zeros = out.zeros;
  n = keep_finite(x, initial, n, kept, kept_initial);
  count_and_sum(kept, n, unused, out);
  out.zeros = zeros;
  finish(kept, initial != nullptr ? kept_initial : nullptr, out);
}

void run(const float* x, const float* initial, std::uint32_t n, std::uint32_t* counters, BlockStats* out) {
  if (count_and_sum(x, n, counters, *out))
    finish(x, initial, *out);
  else
    run_without_nonfinite(x, initial, n, *out);
}

std::uint64_t digest(const float* x, std::uint64_t first_pair, std::size_t pairs) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < pairs; ++i) {
    std::uint32_t bits[2];
    __builtin_memcpy(bits, x + 2 * i, 8);
    sum += digest_term(first_pair + i, bits[0], bits[1]);
  }
  return sum;
}

}  // namespace
}  // namespace weightscope::WEIGHTSCOPE_ISA
