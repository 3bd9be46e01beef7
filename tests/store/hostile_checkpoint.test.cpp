// Checkpoints that were made to do harm: every checksum in them is right.
#include <sys/stat.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "core/hash.hpp"
#include "store/checkpoint.hpp"
#include "store/folder.hpp"

namespace weightscope {
namespace {

using Json = nlohmann::ordered_json;

/// A checkpoint whose manifest is changed by `change` and sealed again.
struct Forged {
  Folder run;
  std::filesystem::path directory;
  std::vector<float> weights{1, 2, 3, 4};
  Forged() {
    const std::vector<TensorRef> model{{"w", DType::f32, {2, 2}, weights.data()}};
    directory = write_checkpoint(run.path(), CheckpointInfo{}, model, model);
  }
  void forge(const std::function<void(Json&)>& change) const {
    auto json = Json::parse(bytes_of(directory / "manifest.json"));
    json.erase("manifest_crc32c");
    change(json);
    const auto body = json.dump();
    json["manifest_crc32c"] = hex(crc32c(std::as_bytes(std::span(body))));
    put(directory / "manifest.json", json.dump());
  }
  void expect_refused(const std::string& why) const {
    expect_error(
        Fault::input, "manifest.json", [&] { open_checkpoint(directory); }, why);
    expect_error(Fault::input, why, [&] { open_checkpoint(directory); });
  }
};

}  // namespace

TEST(HostileManifest, IsNotNestedDeeply) {
  const Forged forged;
  put(forged.directory / "manifest.json",
      R"({"format":)" + std::string(500'000, '[') + std::string(500'000, ']') + "}");
  forged.expect_refused("nested too deeply");
}

TEST(HostileManifest, HoldsNumbersThatARunCanHave) {
  for (const auto& [key, value] : {std::pair<const char*, Json>{"step", -1},
                                   {"step", 1e300},
                                   {"step", 2.5},
                                   {"step", "5"},
                                   {"step", 9'000'000'000'000'000'000ULL},
                                   {"seed", -1},
                                   {"world_size", 0},
                                   {"world_size", 1ULL << 40},
                                   {"tokens", -1.0},
                                   {"epoch", nullptr},
                                   {"wall_time", true},
                                   {"config", 5}}) {
    const Forged forged;
    forged.forge([&](Json& json) { json[key] = value; });
    forged.expect_refused("");
  }
}

TEST(HostileManifest, HoldsChecksumsAndNothingThatIsTakenForOne) {
  for (const char* text :
       {"", "0", "-0000001", "0x123456", " 1234567", "123456789", "1234567g", "100000000"}) {
    const Forged forged;
    forged.forge([&](Json& json) { json["files"]["model.safetensors"]["crc32c"] = text; });
    forged.expect_refused("eight hexadecimal digits");
  }
  const Forged forged;
  forged.forge([](Json& json) { json["files"]["model.safetensors"]["tensors_crc32c"] = {"01234567"}; });
  forged.expect_refused("is not an object");
}

TEST(HostileManifest, OpensNoFileThatItNames) {
  const Forged forged;
  ASSERT_EQ(::mkfifo((forged.run / "pipe").c_str(), 0600), 0);
  forged.forge([](Json& json) {
    for (const char* name : {"../pipe", "/etc/passwd", "..", ""})
      json["files"][name] = json["files"]["model.safetensors"];
  });
  EXPECT_NO_THROW(open_checkpoint(forged.directory)) << "the two files of a checkpoint have fixed names";
}

TEST(HostileCheckpoint, DoesNotWaitForAPipe) {
  for (const std::string name : {"manifest.json", "model.safetensors", "optimizer.safetensors"}) {
    const Forged forged;
    std::filesystem::remove(forged.directory / name);
    ASSERT_EQ(::mkfifo((forged.directory / name).c_str(), 0600), 0);
    expect_error(Fault::input, name, [&] { open_checkpoint(forged.directory); });
  }
}

TEST(WriteCheckpoint, SurvivesADescriptionOfTheDataThatIsNoUtf8) {
  const Folder run;
  const std::vector<float> weights{1};
  CheckpointInfo info;
  info.tokenizer = "{\"tokenizer\": \"\xff\"}";
  const auto directory =
      write_checkpoint(run.path(), info, std::vector<TensorRef>{{"w", DType::f32, {1}, weights.data()}}, {});
  EXPECT_EQ(open_checkpoint(directory).info.tokenizer, "{\"tokenizer\": \"\xef\xbf\xbd\"}");
}

TEST(CheckpointSteps, OfAPathThatIsTooLongAreNone) {
  EXPECT_TRUE(checkpoint_steps(std::string(100'000, 'a')).empty());
}

}  // namespace weightscope
