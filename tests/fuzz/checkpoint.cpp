// A whole checkpoint directory: manifest.json, model.safetensors, optimizer.safetensors. Refused with exit
// code 4, or every tensor lies inside its file; the configuration that it carries is one, or is refused as
// well.
#include "store/checkpoint.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/config.hpp"
#include "core/hash.hpp"
#include "fuzz/support.hpp"
#include "store/manifest.hpp"

using namespace weightscope;

namespace {

constexpr std::string_view kMark = "\xfa\xfb\xfc";

std::uint32_t crc_of(std::string_view text) { return crc32c(std::as_bytes(std::span(text))); }

/// Sizes and checksums of the files, and the manifest's own, set right: otherwise no mutation would get
/// behind them.
std::string sealed(const std::string& text, const std::string& model, const std::string& optimizer) {
  auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("files") || !json["files"].is_object()) return text;
  for (const auto& [name, bytes] : {std::pair{kModelFile, &model}, {kOptimizerFile, &optimizer}}) {
    if (!json["files"].contains(name) || !json["files"][name].is_object()) continue;
    auto& entry = json["files"][name];
    entry["bytes"] = bytes->size(), entry["crc32c"] = hex(crc_of(*bytes));
    auto& tensors = entry["tensors_crc32c"];
    if (!tensors.is_object()) tensors = nlohmann::ordered_json::object();
    fuzz::accepts({Fault::input}, [&, name = std::string(name)] {
      const auto file = Safetensors::open(fuzz::folder() / name);
      for (const auto& t : file.tensors())
        tensors[t.name] = hex(crc32c({static_cast<const std::byte*>(t.data), t.bytes()}));
    });
  }
  json.erase("manifest_crc32c");
  json["manifest_crc32c"] = hex(crc_of(json.dump()));
  return json.dump();
}

void check(const Safetensors& file) {
  for (const auto& t : file.tensors())
    fuzz::expect(fuzz::inside({static_cast<const std::byte*>(t.data), t.bytes()}, file.bytes()),
                 "a tensor lies outside the file");
}

}  // namespace

/// First byte: odd when the checksums are left as they are. Then the three files, with a mark between them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto parts = fuzz::split(fuzz::text_of(data, size).substr(1), kMark, 3);
  fuzz::put(kModelFile, parts[1]), fuzz::put(kOptimizerFile, parts[2]);
  const bool shallow = std::count(parts[0].begin(), parts[0].end(), '[') < 500;
  fuzz::put("manifest.json",
            (data[0] & 1U) != 0 || !shallow ? parts[0] : sealed(parts[0], parts[1], parts[2]));
  fuzz::accepts({Fault::input}, [&] {
    const auto checkpoint = open_checkpoint(fuzz::folder());
    check(checkpoint.model);
    if (checkpoint.optimizer) check(*checkpoint.optimizer);
    fuzz::accepts({Fault::input}, [&] { parse_stored_config(checkpoint.info.config_yaml, "manifest.json"); });
  });
  return 0;
}
