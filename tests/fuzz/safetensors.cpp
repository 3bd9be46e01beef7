// A safetensors file. Refused with exit code 4, or all its tensors lie inside the file, apart from each
// other, aligned.
#include "store/safetensors.hpp"

#include <algorithm>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The length of the header is set right unless the first byte says otherwise: a mutation that changes the
  // header's length would hardly ever get further.
  std::string bytes(fuzz::text_of(data, size));
  if (size >= 9 && bytes[7] != '\x7f') {
    const auto end = bytes.rfind('}');
    const std::uint64_t length = end == std::string::npos || end < 8 ? bytes.size() - 8 : end - 7;
    for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> (8 * i) & 0xff);
  }
  const auto path = fuzz::put("model.safetensors", bytes);
  fuzz::accepts({Fault::input}, [&] { check(Safetensors::open(path)); });
  return 0;
}
