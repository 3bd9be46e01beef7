// Files that are not what their name says.
#include <sys/stat.h>

#include <fstream>

#include "core/file_io.hpp"
#include "core/log.hpp"
#include "core/mapped_file.hpp"
#include "support/scratch.hpp"

namespace weightscope {
namespace {

std::string refusal(const std::filesystem::path& path) {
  try {
    (void)read_json_text(path, Fault::input);
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 4);
    EXPECT_NE(std::string(e.what()).find(path.string()), std::string::npos) << e.what();
    return e.what();
  }
}

void put(const std::filesystem::path& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

TEST(MappedFile, IsARegularFileOrRefusedAtOnce) {
  const Scratch scratch;
  ASSERT_EQ(::mkfifo((scratch / "pipe").c_str(), 0600), 0);
  EXPECT_NE(refusal(scratch / "pipe").find("is not a file"), std::string::npos) << "and nobody writes to it";
  EXPECT_NE(refusal("/dev/zero").find("is not a file"), std::string::npos);
  EXPECT_NE(refusal(scratch.path()).find("is not a file"), std::string::npos);
  EXPECT_NE(refusal(scratch / "absent").find("No such file"), std::string::npos);
  put(scratch / "empty", "");
  EXPECT_TRUE(map_file(scratch / "empty", Fault::input).bytes.empty());
}

TEST(ReadFile, StopsAtTheLimit) {
  const Scratch scratch;
  put(scratch / "ten", "0123456789");
  EXPECT_EQ(read_file(scratch / "ten", Fault::config, 10), "0123456789");
  EXPECT_THROW((void)read_file(scratch / "ten", Fault::config, 9), Error);
  EXPECT_THROW((void)read_file("/dev/zero", Fault::config, 1 << 20), Error) << "and does not read for ever";
  EXPECT_THROW((void)read_small_file(scratch / "ten", Fault::input, 9), Error);
}

TEST(JsonText, IsNeitherDeepNorHuge) {
  const Scratch scratch;
  const auto path = scratch / "a.json";
  put(path, R"({"a": ["[[[[[[[[[[[[[[[[[[[[[[[[", "\\\"[[[[[[[[[[[[[[[[[[", {"b": [[]]}]})");
  EXPECT_EQ(refusal(path), "") << "brackets in texts do not count";
  put(path, std::string(16, '[') + std::string(16, ']'));
  EXPECT_EQ(refusal(path), "");
  put(path, std::string(17, '[') + std::string(17, ']'));
  EXPECT_NE(refusal(path).find("nested too deeply"), std::string::npos);
  put(path, "[" + std::string(70'000, ',') + "]");
  EXPECT_NE(refusal(path).find("too many values"), std::string::npos);
  put(path, "");
  std::filesystem::resize_file(path, (std::uintmax_t{16} << 20) + 1);
  EXPECT_NE(refusal(path).find("is larger than"), std::string::npos);
}

TEST(IsThere, NeverThrows) {
  EXPECT_TRUE(is_there("/"));
  EXPECT_FALSE(is_there(std::string(100'000, 'a')));
  EXPECT_FALSE(is_there("/dev/null/x"));
}

TEST(Printable, SpellsOutWhatATerminalWouldObey) {
  EXPECT_EQ(printable("wei\x1b[2Jghts\r\x7f é\n\t"), "wei\\x1b[2Jghts\\x0d\\x7f é\n\t");
}

}  // namespace weightscope
