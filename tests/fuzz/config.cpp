// A configuration file, alone and with overrides of the command line. Refused with exit code 2, or read; then
// written out and read again it is the same, and it may continue itself.
#include "config/config.hpp"

#include <cstdlib>

#include "fuzz/support.hpp"

using namespace weightscope;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  ::setenv("FUZZ_PLAIN", "value", 1);
  ::setenv("FUZZ_NESTED", "x/${name}", 1);
  ::setenv("FUZZ_NASTY", "${env:FUZZ_PLAIN}\n\"'\\: \xff", 1);
  return 0;
}

/// YAML, then after each byte 0x1f KEY=VALUE.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parts = fuzz::split(fuzz::text_of(data, size), "\x1f", 4);
  std::vector<Override> overrides;
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (const auto equals = parts[i].find('='); equals != std::string::npos)
      overrides.push_back({parts[i].substr(0, equals), parts[i].substr(equals + 1)});
  RunConfig config;
  if (!fuzz::accepts({Fault::config}, [&] { config = parse_config(parts[0], "fuzz.yaml", overrides); }))
    return 0;
  const auto yaml = to_yaml(config);
  RunConfig again;
  const bool accepted = fuzz::accepts({Fault::config}, [&] { again = parse_config(yaml, "again.yaml"); });
  fuzz::expect(accepted && to_yaml(again) == yaml, "the resolved configuration reads back differently");
  fuzz::expect(
      resume_conflicts(config, again).empty() && resume_fingerprint(config) == resume_fingerprint(again),
      "the resolved configuration is another experiment");
  fuzz::accepts({Fault::config}, [&] { parse_config(yaml, "ranks.yaml", {}, 4); });
  return 0;
}
