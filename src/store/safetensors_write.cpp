#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/hash.hpp"
#include "store/crc_combine.hpp"
#include "store/element_types.hpp"
#include "store/safetensors.hpp"

namespace weightscope {
namespace {

/// Bytes that go to a temporary file, which takes its name when all of them are on disk.
class DurableWriter {
 public:
  explicit DurableWriter(const std::filesystem::path& path)
      : path_(path), temporary_(path.string() + ".tmp") {
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    require_system(fd_ >= 0, Fault::output, "cannot create", temporary_);
  }
  DurableWriter(const DurableWriter&) = delete;
  DurableWriter& operator=(const DurableWriter&) = delete;
  ~DurableWriter() {
    if (fd_ >= 0) ::close(fd_), ::unlink(temporary_.c_str());
  }
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto n = ::write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), 1U << 30));
      if (n < 0 && errno == EINTR) continue;
      require_system(n > 0, Fault::output, "cannot write", temporary_);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  void finish() {
    require_system(::fsync(fd_) == 0, Fault::output, "cannot flush", temporary_);
    require_system(::close(std::exchange(fd_, -1)) == 0, Fault::output, "cannot close", temporary_);
    rename_durably(temporary_, path_);
  }

 private:
  std::filesystem::path path_;
  std::string temporary_;
  int fd_;
};

std::vector<const TensorRef*> in_file_order(std::span<const TensorRef> tensors,
                                            const std::filesystem::path& path) {
  std::vector<const TensorRef*> order;
  std::set<std::string> names{"__metadata__"};
  for (const auto& t : tensors) {
    require(names.insert(t.name).second, Fault::internal,
            path.string() + ": tensor name used twice: " + t.name);
    order.push_back(&t);
  }
  // Readers expect no gaps between tensors, so wide elements come first to keep all aligned.
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return size_of(a->dtype) > size_of(b->dtype); });
  return order;
}

/// Length and JSON, filled up with spaces so that the data begins at a multiple of 64.
std::string header_of(const std::vector<const TensorRef*>& order,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const auto* t : order) {
    json[t->name] = {
        {"dtype", element_type(t->dtype).name}, {"shape", t->shape}, {"data_offsets", {at, at + t->bytes()}}};
    at += t->bytes();
  }
  std::string text = json.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  std::string header(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) header[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return header + text;
}

}  // namespace

std::int64_t TensorRef::numel() const {
  std::int64_t n = 1;
  for (const auto d : shape) n *= d;
  return n;
}

WrittenFile write_safetensors(const std::filesystem::path& path, std::span<const TensorRef> tensors,
                              const std::map<std::string, std::string>& metadata) try {
  const auto order = in_file_order(tensors, path);
  const auto header = header_of(order, metadata);
  DurableWriter out(path);
  WrittenFile written{header.size(), crc32c(std::as_bytes(std::span(header))), {}};
  out.write(std::as_bytes(std::span(header)));
  for (const auto* t : order) {
    const std::span bytes(static_cast<const std::byte*>(t->data), t->bytes());
    const auto crc = crc32c(bytes);
    out.write(bytes);
    written.tensors[t->name] = crc;
    written.crc = crc32c_combine(written.crc, crc, bytes.size());
    written.bytes += bytes.size();
  }
  out.finish();
  return written;
} catch (const nlohmann::json::exception& e) {
  throw Error(Fault::output, "cannot write " + path.string() + ": " + e.what());
}

}  // namespace weightscope
