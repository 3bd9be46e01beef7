#pragma once
#include <cstdint>

namespace weightscope {

/// How `--resume` was meant.
struct Resume {
  enum class Mode { automatic, never, must, step } mode = Mode::automatic;
  std::int64_t step = 0;
};

}  // namespace weightscope
