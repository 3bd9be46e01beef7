#pragma once
#include <cstdint>
#include <string_view>

namespace weightscope {

/// A place where tests make a run fail. Builds without WEIGHTSCOPE_FAULTS (the dev preset has it, release has
/// not) know nothing of it. WEIGHTSCOPE_FAULT=POINT:RANK:STEP:ACTION names the place; there rank RANK does
/// ACTION, once: kill, segv, abort, exit, throw, stop (SIGSTOP), or corrupt.
#ifdef WEIGHTSCOPE_FAULTS
/// True for corrupt: the caller damages its own data.
bool fault_point(std::string_view point, int rank, std::int64_t step);
#else
constexpr bool fault_point(std::string_view, int, std::int64_t) { return false; }
#endif

}  // namespace weightscope
