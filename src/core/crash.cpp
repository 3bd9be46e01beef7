#include "core/crash.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstring>
#include <string_view>

namespace weightscope {
namespace {

constexpr std::array kDefects{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

std::array<char, 320> who{"a rank"};
std::atomic<std::int64_t> current_step{-1};
std::array<struct sigaction, kDefects.size()> earlier;

/// Text in fixed memory: a signal handler may not allocate.
struct Line {
  std::array<char, 512> text{};
  std::size_t length = 0;

  void add(std::string_view part) {
    const auto n = std::min(part.size(), text.size() - length);
    std::memcpy(text.data() + length, part.data(), n);
    length += n;
  }
  void add(std::int64_t number) {
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    add(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
  }
  void add_whereabouts() {
    add(who.data());
    if (const auto step = current_step.load(std::memory_order_relaxed); step >= 0) add(", step "), add(step);
  }
};

void say_and_pass_on(int number) {
  Line line;
  line.add("weightscope: error: ");
  line.add_whereabouts();
  line.add(" died of signal ");
  line.add(std::int64_t{number});
  if (const char* meaning = ::sigdescr_np(number); meaning != nullptr)
    line.add(" ("), line.add(meaning), line.add(")");
  line.add("\n");
  (void)!::write(STDERR_FILENO, line.text.data(), line.length);
  for (std::size_t i = 0; i < kDefects.size(); ++i)
    if (kDefects[i] == number) ::sigaction(number, &earlier[i], nullptr);
  ::raise(number);  // delivered when this handler returns
}

}  // namespace

void note_rank(int rank) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const auto text = "rank " + std::to_string(rank) + " (" + host.data() + ")";
  std::memcpy(who.data(), text.c_str(), std::min(text.size() + 1, who.size() - 1));
}

void note_step(std::int64_t step) { current_step.store(step, std::memory_order_relaxed); }

std::string whereabouts() {
  Line line;
  line.add_whereabouts();
  return {line.text.data(), line.length};
}

void report_crashes() {
  struct sigaction ours {};
  ours.sa_handler = say_and_pass_on;
  for (std::size_t i = 0; i < kDefects.size(); ++i) ::sigaction(kDefects[i], &ours, &earlier[i]);
}

}  // namespace weightscope
