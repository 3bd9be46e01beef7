#include "core/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace weightscope {

MappedFile map_file(const std::filesystem::path& path, Fault fault) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  require_system(fd >= 0, fault, "cannot read", path);
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  const auto size = known ? static_cast<std::size_t>(status.st_size) : 0;
  void* memory = size > 0 ? ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0) : nullptr;
  const std::string why = system_message("cannot map", path);
  ::close(fd);
  require(known, fault, path.string() + " is not a file");
  if (size == 0) return {};
  require(memory != MAP_FAILED, fault, why);
  std::shared_ptr<const void> owner(memory, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  return {owner, {static_cast<const std::byte*>(memory), size}};
}

std::string read_small_file(const std::filesystem::path& path, Fault fault, std::uint64_t most_bytes) {
  const auto file = map_file(path, fault);
  require(file.bytes.size() <= most_bytes, fault,
          path.string() + " is larger than " + std::to_string(most_bytes) +
              " bytes; this is another kind of file");
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

std::string read_json_text(const std::filesystem::path& path, Fault fault) {
  constexpr std::uint64_t kLargest = std::uint64_t{16} << 20;
  constexpr int kDeepest = 16, kMostValues = 65'536;
  auto text = read_small_file(path, fault, kLargest);
  int depth = 0, values = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\') ++i;
    if (quoted) continue;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c == ',') ++values;
    require(depth <= kDeepest && values <= kMostValues, fault,
            path.string() + " is nested too deeply or holds too many values; this is another kind of file");
  }
  return text;
}

}  // namespace weightscope
