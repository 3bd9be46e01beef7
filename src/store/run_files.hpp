#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/file_io.hpp"

namespace weightscope {

/// Where the files of one run's record lie.
struct RunFiles {
  std::filesystem::path run;

  std::filesystem::path sealed() const { return run / "experiment.h5"; }
  std::filesystem::path temporary() const { return run / ".experiment.h5.tmp"; }
  std::filesystem::path tail() const { return run / "tail"; }
  std::filesystem::path tail_file(std::int64_t step) const;
  /// Rows that a resumed run brings again, until they have been compared.
  std::filesystem::path set_aside() const { return run / "set-aside"; }

  /// Complete files of a folder by name, which is by step.
  std::vector<std::filesystem::path> tail_files() const { return h5_files(tail()); }
  std::vector<std::filesystem::path> set_aside_files() const { return h5_files(set_aside()); }

 private:
  static std::vector<std::filesystem::path> h5_files(const std::filesystem::path& folder);
};

/// A temporary file: what an earlier attempt left is removed first, and what is still there at the end.
class Unfinished {
 public:
  explicit Unfinished(std::filesystem::path path) : path_(std::move(path)) { remove_file(path_); }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace weightscope
