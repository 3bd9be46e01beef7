#include "app/context.hpp"

#include "core/file_io.hpp"

namespace weightscope {
namespace {

Override split_override(const std::string& text) {
  const auto equals = text.find('=');
  require(equals != std::string::npos && equals > 0, Fault::config,
          "--set " + text + " is not KEY=VALUE; for example --set train.steps=100");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

RunConfig load_config(const Context& context, const ConfigArguments& arguments, int world) {
  std::string text;
  context.host->together([&] {
    if (context.is_root()) text = read_file(arguments.file, Fault::config, std::uint64_t{1} << 20);
  });
  text = context.host->broadcast(text);
  RunConfig config;
  context.host->together([&] {
    std::vector<Override> overrides;
    for (const auto& set : arguments.set) overrides.push_back(split_override(set));
    if (!arguments.output.empty()) overrides.push_back({"output", arguments.output, true});
    config = parse_config(text, arguments.file, overrides, world);
  });
  return config;
}

}  // namespace weightscope
