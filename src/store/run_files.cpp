#include "store/run_files.hpp"

#include <algorithm>
#include <cstdio>

namespace weightscope {

std::filesystem::path RunFiles::tail_file(std::int64_t step) const {
  char name[40];
  std::snprintf(name, sizeof name, "%012lld.h5", static_cast<long long>(step));
  return tail() / name;
}

std::vector<std::filesystem::path> RunFiles::h5_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end;
       at.increment(failed))
    if (at->path().extension() == ".h5") files.push_back(at->path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace weightscope
