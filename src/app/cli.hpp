#pragma once
#include <functional>
#include <string>

#include "app/commands.hpp"

namespace weightscope {

/// The parsed command line: either what to run, or why not.
struct CommandLine {
  std::function<int(const Context&, const std::atomic<int>&)>
      run;                 ///< empty: print `message` and exit with `exit_code`
  bool all_ranks = false;  ///< false: the command is rank 0's alone
  bool saves = false;      ///< looks at the signals that ask it to stop (INT and TERM end other commands)
  bool quiet = false;
  int exit_code = 0;
  std::string message;  ///< help or version on stdout (exit_code 0), a usage error on stderr
};
CommandLine parse_command_line(int argc, char** argv);

}  // namespace weightscope
