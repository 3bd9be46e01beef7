#include "store/preflight.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "core/error.hpp"
#include "core/file_io.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

/// A file that is gone when this ends, under either of its names.
struct Probe {
  fs::path path, renamed;
  int fd = -1;
  ~Probe() {
    if (fd >= 0) ::close(fd);
    std::error_code ignored;
    fs::remove(path, ignored);
    fs::remove(renamed, ignored);
  }
};

std::string room_text(const fs::path& run, std::int64_t bytes) {
  std::error_code failed;
  const auto space = fs::space(run, failed);
  std::string text = "a checkpoint takes " + std::to_string(bytes) + " bytes";
  if (!failed) text += ", the file system has " + std::to_string(space.available) + " free";
  return " (" + text + ") free some, or give another --output";
}

void reserve(const Probe& probe, const fs::path& run, std::int64_t bytes) {
  if (bytes <= 0) return;
  int status = 0;
  do {
    status = ::fallocate(probe.fd, 0, 0, bytes);
  } while (status != 0 && errno == EINTR);
  if (status == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS)
    throw Error(Fault::output, system_message("no room in", run.string()) + room_text(run, bytes));
  std::error_code failed;
  const auto space = fs::space(run, failed);
  require(failed || space.available >= static_cast<std::uintmax_t>(bytes), Fault::output,
          "no room in " + run.string() + room_text(run, bytes));
}

}  // namespace

void preflight(const fs::path& run, std::int64_t bytes) {
  Probe probe{run / ".preflight", run / ".preflight-renamed"};
  const auto expect = [&](bool ok, const char* what) {
    require_system(ok, Fault::output, what, probe.path.string());
  };
  probe.fd = ::open(probe.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  expect(probe.fd >= 0, "cannot create");
  reserve(probe, run, bytes);
  const std::array<char, 4096> page{};
  expect(::write(probe.fd, page.data(), page.size()) == static_cast<ssize_t>(page.size()), "cannot write");
  expect(::fsync(probe.fd) == 0, "cannot flush");
  expect(::close(std::exchange(probe.fd, -1)) == 0, "cannot close");
  rename_durably(probe.path, probe.renamed);
}

}  // namespace weightscope
