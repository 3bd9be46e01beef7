#include <filesystem>

#include "config/support.hpp"
#include "core/file_io.hpp"

namespace weightscope {

TEST(ShippedFiles, EveryConfigurationIsValid) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEIGHTSCOPE_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().filename().string());
    ++seen;
    EXPECT_NO_THROW(parse_config(read_file(entry.path(), Fault::config), entry.path().string()));
  }
  EXPECT_GE(seen, 5);
}

TEST(ShippedFiles, TheReferencePageIsWhatTheProgramPrints) {
  EXPECT_EQ(read_file(WEIGHTSCOPE_SOURCE_DIR "/docs/config-reference.md", Fault::config), config_reference())
      << "regenerate it: weightscope check --reference > docs/config-reference.md";
}

}  // namespace weightscope
