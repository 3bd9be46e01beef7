#pragma once
#include <stdexcept>
#include <string>

namespace weightscope {

/// What went wrong, in the terms of the person who runs the job. The value is the exit code of the process.
enum class Fault {
  config = 2,    ///< configuration or usage; nothing was touched
  data = 3,      ///< training data
  input = 4,     ///< checkpoint or input file unusable or incompatible
  output = 5,    ///< output I/O: full, read-only
  busy = 6,      ///< output directory in use by a live job
  numeric = 7,   ///< numeric failure, or weights that do not follow their scheme
  diverged = 8,  ///< replicas differ
  comm = 9,      ///< a peer is lost, or a collective passed its deadline
  internal = 70,
  stopped = 75  ///< stopped on request, state saved
};

/// The only exception type this program throws on purpose. The message reads
/// "problem (why it matters) suggestion", one line per problem.
class Error : public std::runtime_error {
 public:
  /// everywhere: all ranks throw this same error at the same point, so all of them can end in good order;
  /// one: only this rank met it, and the others may be waiting in a collective.
  enum class Scope { one, everywhere };

  Error(Fault fault, const std::string& message, Scope scope = Scope::one)
      : std::runtime_error(message), fault_(fault), scope_(scope) {}
  /// Of something that no part of this program threw on purpose.
  static Error internal(const std::exception& e) {
    return {Fault::internal, std::string("internal error: ") + e.what()};
  }
  Fault fault() const noexcept { return fault_; }
  Scope scope() const noexcept { return scope_; }
  int exit_code() const noexcept { return static_cast<int>(fault_); }

 private:
  Fault fault_;
  Scope scope_;
};

/// Throws Error{fault, message} unless `ok`.
void require(bool ok, Fault fault, const std::string& message);

/// "what PATH: strerror(errno)", for a system call that just failed. Never as an argument beside that call:
/// which of two arguments comes first is the compiler's choice.
std::string system_message(const std::string& what, const std::string& path);

/// Throws Error{fault, system_message(what, path)} unless `ok`, the outcome of a system call.
void require_system(bool ok, Fault fault, const std::string& what, const std::string& path);

}  // namespace weightscope
