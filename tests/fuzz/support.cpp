#include "fuzz/support.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace weightscope::fuzz {
namespace {

namespace fs = std::filesystem;

fs::path make_folder() {
  const fs::path memory = "/dev/shm";
  const auto parent = fs::is_directory(memory) ? memory : fs::temp_directory_path();
  auto name = (parent / "weightscope-fuzz-XXXXXX").string();
  expect(::mkdtemp(name.data()) != nullptr, "no temporary directory");
  std::atexit([] {
    std::error_code ignored;
    fs::remove_all(folder(), ignored);
  });
  return name;
}

}  // namespace

void expect(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

bool accepts(std::initializer_list<Fault> allowed, const std::function<void()>& parse) {
  try {
    parse();
    return true;
  } catch (const Error& e) {
    if (std::find(allowed.begin(), allowed.end(), e.fault()) == allowed.end())
      std::fprintf(stderr, "fault %d: %s\n", e.exit_code(), e.what());
    expect(std::find(allowed.begin(), allowed.end(), e.fault()) != allowed.end(), "an error of another kind");
    expect(!std::string_view(e.what()).empty(), "an error without a text");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "exception: %s\n", e.what());
    expect(false, "an exception that is not Error");
  }
  return false;
}

const fs::path& folder() {
  static const auto* const path = new fs::path(make_folder());  // outlives atexit
  return *path;
}

fs::path put(const std::string& name, std::string_view bytes) {
  auto path = folder() / name;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  expect(fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
         "cannot write a file");
  ::close(fd);
  return path;
}

std::vector<std::string> split(std::string_view input, std::string_view mark, std::size_t parts) {
  std::vector<std::string> pieces;
  while (pieces.size() + 1 < parts) {
    const auto at = input.find(mark);
    pieces.emplace_back(input.substr(0, at));
    input = at == std::string_view::npos ? std::string_view() : input.substr(at + mark.size());
  }
  pieces.emplace_back(input);
  return pieces;
}

bool inside(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace weightscope::fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

/// Every second mutation changes one number of a text to another that is in it, to a neighbour, or to one at
/// which programs break; libFuzzer's own mutations do the rest.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  std::minstd_rand random(seed);
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<std::pair<std::size_t, std::size_t>> numbers;  // begin, length
  for (std::size_t i = 0; i < size; ++i)
    if (std::isdigit(data[i]) != 0) {
      const auto end = std::min(text.find_first_not_of("0123456789", i), size);
      numbers.emplace_back(i, end - i);
      i = end;
    }
  if (numbers.empty() || random() % 2 == 0) return LLVMFuzzerMutate(data, size, most);
  const auto any = [&] { return numbers[random() % numbers.size()]; };
  constexpr std::array kEdges{"0", "1", "-1", "8", "65536", "2147483648", "9223372036854775807", "1e300"};
  const auto [begin, length] = any();
  const auto [from, other] = any();
  std::string number = text.substr(from, other);
  if (random() % 3 == 0) number = kEdges[random() % kEdges.size()];
  if (random() % 3 == 0)
    number = std::to_string(std::strtoull(number.c_str(), nullptr, 10) + random() % 17 - 8);
  const auto changed = text.substr(0, begin) + number + text.substr(begin + length);
  if (changed.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::copy(changed.begin(), changed.end(), data);
  return changed.size();
}
