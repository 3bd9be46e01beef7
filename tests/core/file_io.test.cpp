#include "core/file_io.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace weightscope {

TEST(WriteFileAtomically, ReplacesTheFileAndLeavesNoTemporary) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("weightscope-file-io-" + std::to_string(::getpid()));
  make_directories(folder);
  write_file_atomically(folder / "a", std::string("one"));
  write_file_atomically(folder / "a", std::string("two"));
  EXPECT_EQ(read_file(folder / "a", Fault::input), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  std::filesystem::remove_all(folder);
}

TEST(ReadFile, NamesTheMissingFileAndKeepsTheFault) {
  try {
    read_file("/nonexistent/file", Fault::data);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 3);
    EXPECT_NE(std::string(e.what()).find("/nonexistent/file"), std::string::npos) << e.what();
  }
}

}  // namespace weightscope
