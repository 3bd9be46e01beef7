#pragma once
// Private to app: how the command line explains itself.
#include <CLI/CLI.hpp>

#include <memory>
#include <string>

namespace weightscope {

std::shared_ptr<CLI::FormatterBase> help_format();
/// What nobody expected, and what may have been meant.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv);

}  // namespace weightscope
