// A safetensors file. Refused with exit code 4, or all its tensors lie inside the file, apart from each
// other, aligned.
#include "store/safetensors.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/hash.hpp"
#include "fuzz/support.hpp"

using namespace weightscope;

namespace {

std::span<const std::byte> bytes_of(const TensorRef& t) {
  return {static_cast<const std::byte*>(t.data), t.bytes()};
}

void check(const Safetensors& file) {
  const auto& tensors = file.tensors();
  const std::byte* at = file.bytes().data() + 8;
  for (const auto& t : tensors) {
    const auto bytes = bytes_of(t);
    fuzz::expect(fuzz::inside(bytes, file.bytes()), "a tensor lies outside the file");
    fuzz::expect(bytes.data() >= at, "tensors overlap, or are not in file order");
    fuzz::expect(reinterpret_cast<std::uintptr_t>(t.data) % size_of(t.dtype) == 0, "a tensor is not aligned");
    fuzz::expect(std::all_of(t.shape.begin(), t.shape.end(), [](auto d) { return d >= 0; }),
                 "a tensor has a negative size");
    fuzz::expect(file.find(t.name) == &t, "a name is used twice");
    (void)crc32c(bytes);
    at = bytes.data() + bytes.size();
  }
}

/// The bytes with the length of the header set right, and the data as long as the tensors say: a mutation of
/// the header's text would hardly ever get further. The first byte 0x7f leaves all as it is.
std::string repaired(std::string_view input) {
  std::string bytes(input);
  if (bytes.size() < 9 || bytes[0] == '\x7f') return bytes;
  const auto last = bytes.rfind('}');
  std::size_t end = last == std::string::npos || last < 8 ? bytes.size() : last + 1;
  const auto spaces = (8 - end % 8) % 8;  // so that the data is aligned
  bytes.insert(end, spaces, ' ');
  end += spaces;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((end - 8) >> (8 * i) & 0xff);
  std::uint64_t data = 0;
  const auto json =
      nlohmann::json::parse(bytes.begin() + 8, bytes.begin() + static_cast<std::ptrdiff_t>(end), nullptr,
                            /*allow_exceptions=*/false);
  if (!json.is_object()) return bytes;
  for (const auto& entry : json) {
    if (!entry.is_object() || !entry.contains("data_offsets") || entry["data_offsets"].size() != 2) continue;
    const auto& to = entry["data_offsets"][1];
    if (to.is_number_unsigned()) data = std::max(data, to.get<std::uint64_t>());
  }
  if (data < 65536) bytes.resize(end + data);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = fuzz::put("model.safetensors", repaired(fuzz::text_of(data, size)));
  fuzz::accepts({Fault::input}, [&] { check(Safetensors::open(path)); });
  return 0;
}
