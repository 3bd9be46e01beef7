#include "core/file_io.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <utility>

namespace weightscope {
namespace {

/// Owns a file descriptor; close() is explicit where its result matters.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

void write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    require_system(n > 0, Fault::output, "cannot write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path, Fault fault, std::uint64_t most_bytes) {
  std::ifstream in(path, std::ios::binary);
  std::error_code unknown;
  require(!std::filesystem::is_directory(path, unknown), fault,
          "cannot read " + path.string() + ": it is a directory");
  require_system(in.good(), fault, "cannot read", path.string());
  std::string text;
  std::array<char, 65536> part{};
  while (in.read(part.data(), part.size()) || in.gcount() > 0) {
    text.append(part.data(), static_cast<std::size_t>(in.gcount()));
    require(text.size() <= most_bytes, fault,
            path.string() + " is larger than " + std::to_string(most_bytes) +
                " bytes; this is another kind of file");
  }
  // A disk's error would otherwise be the end of a shorter file.
  require_system(!in.bad(), fault, "cannot read", path.string());
  return text;
}

bool is_there(const std::filesystem::path& path) noexcept {
  std::error_code unknown;
  return std::filesystem::exists(path, unknown);
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::string temporary = path.string() + ".tmp";
  Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  require_system(file.fd >= 0, Fault::output, "cannot create", temporary);
  write_all(file.fd, bytes, temporary);
  require_system(::fsync(file.fd) == 0, Fault::output, "cannot flush", temporary);
  require_system(::close(file.release()) == 0, Fault::output, "cannot close", temporary);
  rename_durably(temporary, path);
}

void write_file_atomically(const std::filesystem::path& path, const std::string& text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

void sync_path(const std::filesystem::path& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  require_system(file.fd >= 0 && ::fsync(file.fd) == 0, Fault::output, "cannot flush", path.string());
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to,
                    const std::function<void()>& renamed) {
  require_system(std::rename(from.c_str(), to.c_str()) == 0, Fault::output, "cannot rename to", to.string());
  renamed();
  const auto folder = to.parent_path();
  sync_path(folder.empty() ? std::filesystem::path(".") : folder);
}

void remove_file(const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::remove(path, failed);
  require(!failed, Fault::output, "cannot remove " + path.string() + ": " + failed.message());
}

void make_directories(const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  require(!failed, Fault::output, "cannot create directory " + path.string() + ": " + failed.message());
}

void release_pages(std::span<const std::byte> mapped) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(mapped.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(mapped.data() + mapped.size()) / page * page;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace weightscope
