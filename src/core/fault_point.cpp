#include "core/fault_point.hpp"

#ifdef WEIGHTSCOPE_FAULTS
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

namespace weightscope {
namespace {

/// What follows "place:rank:step:" in `fault`, which is then forgotten; "" when another place is meant.
std::string taken(std::string& fault, std::string_view place, int rank, std::int64_t step) {
  const auto here = std::string(place) + ":" + std::to_string(rank) + ":" + std::to_string(step) + ":";
  if (!fault.starts_with(here)) return "";
  auto rest = fault.substr(here.size());
  fault.clear();
  return rest;
}

std::string from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

}  // namespace

bool fault_point(std::string_view point, int rank, std::int64_t step) {
  static std::string fault = from_environment("WEIGHTSCOPE_FAULT");
  const auto action = taken(fault, point, rank, step);
  if (action == "kill") std::raise(SIGKILL);
  if (action == "segv") std::raise(SIGSEGV);
  if (action == "stop") std::raise(SIGSTOP);
  if (action == "abort") std::abort();
  if (action == "exit") std::_Exit(0);
  if (action == "throw") throw std::runtime_error("thrown by a test at " + std::string(point));
  while (action == "hang") std::this_thread::sleep_for(std::chrono::seconds(1));
  if (action == "slow") std::this_thread::sleep_for(std::chrono::seconds(2));
  return action == "corrupt";
}

std::optional<FlippedBit> bit_to_flip(std::string_view tensor, int rank, std::int64_t step) {
  static std::string flip = from_environment("WEIGHTSCOPE_FLIP");
  const auto place = taken(flip, tensor, rank, step);
  int bit = 0;
  long long element = 0;
  if (std::sscanf(place.c_str(), "%d:%lld", &bit, &element) != 2) return std::nullopt;
  return FlippedBit{bit, element};
}

bool faulty_from(std::string_view point, std::int64_t step) {
  static const std::string fault = from_environment("WEIGHTSCOPE_FAULT_FROM");
  const auto here = std::string(point) + ":";
  return fault.starts_with(here) && step >= std::atoll(fault.c_str() + here.size());
}

}  // namespace weightscope
#endif
