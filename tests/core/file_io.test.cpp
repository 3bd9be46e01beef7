#include "core/file_io.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

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

TEST(SystemCalls, SayWhyTheyFailedAndNotWhyTheOneBeforeDid) {
  const auto why = [](auto&& action) -> std::string {
    errno = EXDEV;  // of some call before
    try {
      action();
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing failed";
  };
  EXPECT_EQ(why([] { write_file_atomically("/nonexistent/a", std::string("one")); }),
            "cannot create /nonexistent/a.tmp: No such file or directory");
  EXPECT_EQ(why([] { rename_durably("/nonexistent/a", "/nonexistent/b"); }),
            "cannot rename to /nonexistent/b: No such file or directory");
  EXPECT_EQ(why([] { sync_path("/nonexistent/a"); }),
            "cannot flush /nonexistent/a: No such file or directory");
  EXPECT_EQ(why([] { sync_path("/dev/null"); }), "cannot flush /dev/null: Invalid argument");
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
