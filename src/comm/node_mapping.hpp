#pragma once
// Private to comm: anonymous files that other processes of this user map through /proc/PID/fd.
#include <array>
#include <cstddef>
#include <cstdint>

namespace weightscope {

inline constexpr std::size_t kHuge = std::size_t{2} << 20;  // a huge page

struct Mapping {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
};

/// An anonymous file: no name in any directory, no limit of /dev/shm, released by the kernel however the
/// ranks end. Its first bytes hold a random token until the owner wipes it: process numbers may mean
/// something else in another container.
class MemoryFile {
 public:
  struct Name {
    std::int64_t process = 0, descriptor = -1;
    std::array<std::uint64_t, 2> token{};
  };
  explicit MemoryFile(std::size_t bytes);
  MemoryFile(const MemoryFile&) = delete;
  ~MemoryFile();
  bool good() const { return good_; }
  const Name& name() const { return name_; }

 private:
  Name name_;
  bool good_ = false;
};

/// Maps a file of another process, aligned to 2 MiB, bytes a multiple of it. nullptr when it cannot be opened
/// or is another file.
std::byte* map_memory_file(const MemoryFile::Name& name, std::size_t bytes);

}  // namespace weightscope
