// config.json of a Hugging Face model. Refused with exit code 4, or a model within the limits of the
// configuration.
#include "model/hf_config.hpp"
#include "config/config.hpp"
#include "fuzz/support.hpp"

using namespace weightscope;

namespace {

void expect_possible(const ModelConfig& model) {
  RunConfig config;
  config.model = model;
  const bool accepted =
      fuzz::accepts({Fault::config}, [&] { parse_config(to_yaml(config), "imported.yaml"); });
  fuzz::expect(accepted, "a model that no configuration could ask for");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = fuzz::put("config.json", fuzz::text_of(data, size));
  ModelConfig model;
  if (fuzz::accepts({Fault::input}, [&] { model = model_from_neox_config(path); })) expect_possible(model);
  if (!fuzz::accepts({Fault::input}, [&] { model = model_from_hf_config(path); })) return 0;
  expect_possible(model);
  fuzz::put("config.json", hf_config_json(model));
  const auto again = model_from_hf_config(path);
  fuzz::expect(again.layers == model.layers && again.mlp_ratio == model.mlp_ratio &&
                   again.tied == model.tied && again.activation == model.activation,
               "what is exported is not what was imported");
  return 0;
}
