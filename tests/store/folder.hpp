#pragma once
// A folder of its own for each test, and small tools for files in it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.hpp"
#include "core/file_io.hpp"

namespace weightscope {

class Folder {
 public:
  Folder() {
    static int count = 0;
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            ("weightscope-" + std::string(test->test_suite_name()) + "-" + test->name() + "-" +
             std::to_string(::getpid()) + "-" + std::to_string(++count));
    std::filesystem::remove_all(path_);
    make_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string bytes_of(const std::filesystem::path& path) { return read_file(path, Fault::input); }

inline void put(const std::filesystem::path& path, const std::string& bytes) {
  make_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
}

/// Runs `action`, which must throw Error{fault} with `part` in its text.
template <class F>
void expect_error(Fault fault, const std::string& part, F&& action, const std::string& note = "") {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown " << note;
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), fault) << e.what() << " " << note;
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what() << " " << note;
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "more than one line: " << e.what();
  }
}

}  // namespace weightscope
