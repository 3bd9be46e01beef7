#include "store/manifest.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/hash.hpp"
#include "store/crc_combine.hpp"

namespace weightscope {
namespace {

using Json = nlohmann::ordered_json;

std::uint32_t crc_of(const std::string& text) { return crc32c(std::as_bytes(std::span(text))); }

Json json_of(const WrittenFile& file) {
  Json tensors = Json::object();
  for (const auto& [name, crc] : file.tensors) tensors[name] = hex(crc);
  return {{"bytes", file.bytes}, {"crc32c", hex(file.crc)}, {"tensors_crc32c", tensors}};
}

std::uint32_t crc_from(const Json& text) {
  return static_cast<std::uint32_t>(std::stoul(text.get<std::string>(), nullptr, 16));
}

WrittenFile file_from(const Json& json) {
  WrittenFile file{json.at("bytes").get<std::uint64_t>(), crc_from(json.at("crc32c")), {}};
  for (const auto& [name, crc] : json.at("tensors_crc32c").items()) file.tensors[name] = crc_from(crc);
  return file;
}

CheckpointInfo info_from(const Json& json) {
  CheckpointInfo info;
  json.at("step").get_to(info.step), json.at("seed").get_to(info.seed), json.at("tokens").get_to(info.tokens);
  json.at("epoch").get_to(info.epoch), json.at("wall_time").get_to(info.wall_time);
  json.at("world_size").get_to(info.world_size),
      json.at("config_fingerprint").get_to(info.config_fingerprint);
  json.at("config").get_to(info.config_yaml), json.at("tokenizer").get_to(info.tokenizer);
  return info;
}

}  // namespace

void write_manifest(const std::filesystem::path& directory, const Manifest& manifest) try {
  const auto& info = manifest.info;
  Json json{{"format", "weightscope-checkpoint"},
            {"version", 1},
            {"step", info.step},
            {"seed", info.seed},
            {"tokens", info.tokens},
            {"epoch", info.epoch},
            {"wall_time", info.wall_time},
            {"world_size", info.world_size},
            {"config_fingerprint", info.config_fingerprint},
            {"config", info.config_yaml},
            {"tokenizer", info.tokenizer},
            {"files", Json::object()}};
  for (const auto& [name, file] : manifest.files) json["files"][name] = json_of(file);
  json["manifest_crc32c"] = hex(crc_of(json.dump()));
  write_file_atomically(directory / "manifest.json", json.dump(1) + "\n");
} catch (const nlohmann::json::exception& e) {
  throw Error(Fault::output, "cannot write " + (directory / "manifest.json").string() + ": " + e.what());
}

Manifest read_manifest(const std::filesystem::path& directory) {
  const auto path = directory / "manifest.json";
  const auto text = read_file(path, Fault::input);
  try {
    auto json = Json::parse(text);
    require(json.at("format") == "weightscope-checkpoint" && json.at("version") == 1, Fault::input,
            path.string() + " is not the manifest of a checkpoint that this version can read");
    const auto crc = crc_from(json.at("manifest_crc32c"));
    json.erase("manifest_crc32c");
    require(crc == crc_of(json.dump()), Fault::input,
            path.string() + " is damaged (its checksum does not match)");
    Manifest manifest{info_from(json), {}};
    for (const auto& [name, file] : json.at("files").items()) manifest.files[name] = file_from(file);
    return manifest;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(Fault::input, path.string() + " is damaged: " + e.what());
  }
}

void verify_file(const Safetensors& file, const WrittenFile& expected, Fault fault) {
  const std::string path = file.path().string();
  const auto all = file.bytes();
  require(all.size() == expected.bytes, fault,
          path + " is damaged: " + std::to_string(all.size()) + " bytes, manifest.json says " +
              std::to_string(expected.bytes));
  std::size_t data = all.size();
  for (const auto& t : file.tensors()) data -= t.bytes();
  auto crc = crc32c(all.first(data));  // the header; tensors() is in file order and covers the rest
  for (const auto& t : file.tensors()) {
    const auto found = expected.tensors.find(t.name);
    const std::span bytes(static_cast<const std::byte*>(t.data), t.bytes());
    const auto own = crc32c(bytes);
    release_pages(bytes);
    require(found != expected.tensors.end() && found->second == own, fault,
            path + " is damaged: checksum of tensor " + t.name + " does not match manifest.json");
    crc = crc32c_combine(crc, own, t.bytes());
  }
  require(crc == expected.crc, fault, path + " is damaged: its checksum does not match manifest.json");
}

}  // namespace weightscope
