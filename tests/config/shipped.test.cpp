#include <filesystem>

#include "config/support.hpp"
#include "core/file_io.hpp"

namespace weightscope {

TEST(ShippedFiles, EveryConfigurationIsValid) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEIGHTSCOPE_SOURCE_DIR "/configs")) {
    const auto name = entry.path().filename().string();
    if (entry.path().extension() != ".yaml" || name.starts_with("sweep-"))
      continue;  // analysis/tests/test_sweep.py
    SCOPED_TRACE(name);
    ++seen;
    EXPECT_NO_THROW(parse_config(read_file(entry.path(), Fault::config), entry.path().string()));
  }
  EXPECT_GE(seen, 5);
}

TEST(ShippedFiles, TheReferencePageIsWhatTheProgramPrints) {
  EXPECT_EQ(read_file(WEIGHTSCOPE_SOURCE_DIR "/docs/config-reference.md", Fault::config), config_reference())
      << "regenerate it: weightscope check --reference > docs/config-reference.md";
}

TEST(ShippedFiles, TheAlarmsPageHasTheTableThatTheProgramPrints) {
  const auto page = read_file(WEIGHTSCOPE_SOURCE_DIR "/docs/alarms.md", Fault::config);
  EXPECT_NE(page.find(alarms_reference()), std::string::npos)
      << "it is the last table of weightscope check --reference; bench/page.py docs/alarms.md rules puts it "
         "in";
}

}  // namespace weightscope
