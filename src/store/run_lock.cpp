#include "store/run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "core/error.hpp"
#include "core/file_io.hpp"

namespace weightscope {
namespace {

std::string holder_of(int fd) {
  std::array<char, 200> text{};
  const auto n = ::pread(fd, text.data(), text.size(), 0);
  if (n <= 0) return "another job";
  const std::string_view line(text.data(), static_cast<std::size_t>(n));
  return std::string(line.substr(0, line.find('\n')));
}

void write_holder(int fd, const std::string& path) {
  std::array<char, 128> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string line = "process " + std::to_string(::getpid()) + " on " + host.data() + "\n";
  require_system(::ftruncate(fd, 0) == 0 &&
                     ::pwrite(fd, line.data(), line.size(), 0) == static_cast<ssize_t>(line.size()),
                 Fault::output, "cannot write", path);
}

}  // namespace

RunLock RunLock::acquire(const std::filesystem::path& directory) {
  make_directories(directory);
  const std::string path = directory / ".lock";
  RunLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  require_system(lock.fd_ >= 0, Fault::output, "cannot open", path);
  int status = 0;
  while ((status = ::flock(lock.fd_, LOCK_EX | LOCK_NB)) != 0 && errno == EINTR) {
  }
  if (status != 0 && errno == EWOULDBLOCK)
    throw Error(Fault::busy, directory.string() + " is in use by " + holder_of(lock.fd_) +
                                 " (two jobs would overwrite each other's results) wait for it or give "
                                 "another --output");
  require_system(status == 0, Fault::output, "cannot lock", path);
  write_holder(lock.fd_, path);
  return lock;
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RunLock::~RunLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace weightscope
