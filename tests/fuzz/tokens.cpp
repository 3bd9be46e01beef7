// A token file, with a meta.json beside it or without. Refused with exit code 3, or its tokens are the file
// but for the header, and an id of the vocabulary or beyond is found.
#include <algorithm>
#include <cstring>

#include "data/token_file.hpp"
#include "fuzz/support.hpp"

using namespace weightscope;

/// First byte: odd when there is a meta.json, which then comes before the first byte 0xff.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = fuzz::text_of(data, size).substr(1);
  const bool meta = (data[0] & 1U) != 0;
  const auto parts = fuzz::split(input, meta ? "\xff" : "", meta ? 2 : 1);
  const auto path = fuzz::put("train.bin", parts.back());
  std::filesystem::remove(fuzz::folder() / "meta.json");
  if (meta) fuzz::put("meta.json", parts[0]);
  fuzz::accepts({Fault::data}, [&] {
    const auto file = TokenFile::open(path);
    const auto tokens = file.tokens();
    const auto bytes = parts.back().size();
    fuzz::expect(!tokens.empty(), "a file without tokens");
    fuzz::expect(tokens.size_bytes() == bytes || tokens.size_bytes() + 1024 == bytes,
                 "tokens outside the file, or not all of it");
    std::int32_t promised = 0;
    if (tokens.size_bytes() != bytes) std::memcpy(&promised, parts.back().data() + 8, sizeof promised);
    fuzz::expect(promised == 0 || static_cast<std::size_t>(promised) == tokens.size(),
                 "tokens that nobody promised");
    const int vocab = data[0] * 256;
    const bool fits = fuzz::accepts({Fault::data}, [&] { file.check_ids(vocab); });
    fuzz::expect(fits == (*std::max_element(tokens.begin(), tokens.end()) < vocab),
                 "an id that does not fit");
  });
  return 0;
}
