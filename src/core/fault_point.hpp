#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace weightscope {

/// A bit to flip: `bit` 0..31 of the float32 with number `element` of a tensor.
struct FlippedBit {
  int bit = 0;
  std::int64_t element = 0;
};

/// Places where tests make a run fail. Builds without WEIGHTSCOPE_FAULTS (the dev preset has it, release has
/// not) know nothing of them. WEIGHTSCOPE_FAULT=POINT:RANK:STEP:ACTION names a place; there rank RANK does
/// ACTION, once: kill, segv, abort, exit, throw, stop (SIGSTOP), hang, slow (two seconds), or corrupt
/// (head: weights of the first head of the last block times 6; logits: q and k of that block times 10).
/// WEIGHTSCOPE_FLIP=TENSOR:RANK:STEP:BIT:ELEMENT flips a bit after STEP updates, as cosmic rays do; moments
/// are called as in checkpoints (exp_avg.wte.weight). WEIGHTSCOPE_FAULT_FROM=POINT:STEP is something that
/// goes wrong on all ranks from STEP on and does not end a run: rate (learning rate times 30), labels
/// (targets are random), head (weights of the first head of the last block are zero), weights (with ZeRO-1,
/// those of other shards are not there before somebody waits for them).
#ifdef WEIGHTSCOPE_FAULTS
inline constexpr bool kFaultPoints = true;
/// True for corrupt: the caller does something wrong of its own.
bool fault_point(std::string_view point, int rank, std::int64_t step);
std::optional<FlippedBit> bit_to_flip(std::string_view tensor, int rank, std::int64_t step);
bool faulty_from(std::string_view point, std::int64_t step);
#else
inline constexpr bool kFaultPoints = false;
constexpr bool fault_point(std::string_view, int, std::int64_t) { return false; }
constexpr std::optional<FlippedBit> bit_to_flip(std::string_view, int, std::int64_t) { return std::nullopt; }
constexpr bool faulty_from(std::string_view, std::int64_t) { return false; }
#endif

}  // namespace weightscope
