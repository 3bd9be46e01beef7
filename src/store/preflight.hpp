#pragma once
#include <cstdint>
#include <filesystem>

namespace weightscope {

/// Tries in a run directory what a run will do there for hours: create, reserve `bytes`, write, flush, rename
/// and remove a file. Error{output} says what failed and how much room there is. A file system that cannot
/// reserve space (EOPNOTSUPP) is asked for its free space instead, which does not see quotas.
void preflight(const std::filesystem::path& run, std::int64_t bytes);

}  // namespace weightscope
