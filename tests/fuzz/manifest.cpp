// manifest.json of a checkpoint. Refused with exit code 4, or it is a sane one; written again it reads back
// the same.
#include "store/manifest.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/hash.hpp"
#include "fuzz/support.hpp"

using namespace weightscope;

namespace {

/// The text with its own checksum set right, so that mutations get behind it.
std::string sealed(std::string_view text) {
  auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("manifest_crc32c") || json["manifest_crc32c"] == "keep")
    return std::string(text);
  json.erase("manifest_crc32c");
  const auto body = json.dump();
  json["manifest_crc32c"] = hex(crc32c(std::as_bytes(std::span(body))));
  return json.dump();
}

bool same(const CheckpointInfo& a, const CheckpointInfo& b) {
  return a.step == b.step && a.seed == b.seed && a.tokens == b.tokens && a.epoch == b.epoch &&
         a.wall_time == b.wall_time && a.world_size == b.world_size && a.config_yaml == b.config_yaml &&
         a.config_fingerprint == b.config_fingerprint && a.tokenizer == b.tokenizer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  const auto depth = std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; });
  const auto written = depth < 500 ? sealed(text) : std::string(text);  // printing recurses, here too
  fuzz::put("manifest.json", written);
  Manifest manifest;
  if (!fuzz::accepts({Fault::input}, [&] { manifest = read_manifest(fuzz::folder()); })) return 0;
  const auto& info = manifest.info;
  const auto sane = [](double x) { return std::isfinite(x) && x >= 0; };
  fuzz::expect(
      info.step >= 0 && info.world_size >= 1 && sane(info.tokens) && sane(info.epoch) && sane(info.wall_time),
      "numbers that no run has");
  const auto json = nlohmann::ordered_json::parse(written);
  fuzz::expect(json["step"].dump() == std::to_string(info.step) &&
                   json["seed"].dump() == std::to_string(info.seed) &&
                   json["world_size"].dump() == std::to_string(info.world_size),
               "a number is not the one in the file");
  for (const auto& [name, file] : manifest.files) {
    const auto& entry = json["files"][name];
    std::string digits = entry["crc32c"];
    std::transform(digits.begin(), digits.end(), digits.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    fuzz::expect(digits == hex(file.crc) && entry["bytes"].dump() == std::to_string(file.bytes),
                 "a size or checksum is not the one in the file");
  }
  write_manifest(fuzz::folder(), manifest);
  const auto again = read_manifest(fuzz::folder());
  fuzz::expect(same(again.info, info) && again.files.size() == manifest.files.size(),
               "reads back differently");
  return 0;
}
