#include "app/cli_help.hpp"

#include <vector>

#include "core/suggest.hpp"

namespace weightscope {
namespace {

/// "--tokens N [200]": what is expected, and what is taken without it.
class Help : public CLI::Formatter {
 public:
  Help() {
    column_width(40);
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    const auto standard = option->get_default_str();
    return " " + option->get_type_name() + (standard.empty() ? "" : " [" + standard + "]");
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() { return std::make_shared<Help>(); }

std::string usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const auto chosen = app.get_subcommands();
  const auto* command = chosen.empty() ? &app : chosen.front();
  const std::string help =
      " (see " + (chosen.empty() ? "" : app.get_name() + " ") + command->get_name() + " --help)";
  std::vector<std::string> known;
  if (chosen.empty()) {
    if (argc < 2) return "no command is given" + help;
    const std::string wrong = argv[1];
    if (wrong.starts_with("-")) return "unknown option " + wrong + help;
    for (const auto* each : app.get_subcommands(nullptr)) known.push_back(each->get_name());
    return "unknown command " + wrong + nearest(wrong, known) + help;
  }
  for (const auto* option : command->get_options())
    for (const auto& name : option->get_lnames()) known.push_back("--" + name);
  for (const auto& wrong : command->remaining())
    if (wrong.starts_with("-")) {
      const auto name = wrong.substr(0, wrong.find('='));
      return "unknown option " + name + nearest(name, known) + help;
    }
  return error.what() + help;
}

}  // namespace weightscope
