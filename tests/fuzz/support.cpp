#include "fuzz/support.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

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
