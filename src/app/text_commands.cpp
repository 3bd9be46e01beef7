// prepare, eval, sample: from text to tokens, and back through a model.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "data/tokenizer.hpp"
#include "model/weights_io.hpp"
#include "train/evaluator.hpp"
#include "train/generate.hpp"
#include "train/trainer.hpp"

namespace weightscope {
namespace {

constexpr std::int64_t kEvalTokens = 8192;  // per forward pass

/// The tokenizer that the checkpoint's training data was made with; bytes for a vocabulary of 256.
std::string tokenizer_of(const std::filesystem::path& checkpoint, int vocab) {
  if (!checkpoint.empty()) {
    const auto meta = nlohmann::json::parse(open_checkpoint(checkpoint).info.tokenizer, nullptr,
                                            /*allow_exceptions=*/false);
    if (meta.is_object() && meta.contains("tokenizer") && meta["tokenizer"].is_string()) {
      const auto name = meta["tokenizer"].get<std::string>();
      // A checkpoint may come from anywhere: no file is opened because it says so.
      require(name == "byte", Fault::input,
              "the model was trained with the tokenizer " + name + "; give it with --tokenizer");
      return name;
    }
  }
  require(vocab == 256, Fault::input,
          "the model does not say which tokenizer it was trained with; name one with --tokenizer");
  return "byte";
}

}  // namespace

int run_prepare(const Context&, const PrepareArguments& a) {
  const auto made = prepare(a.tokenizer, {a.texts.begin(), a.texts.end()}, a.output, a.val_fraction);
  log_info(a.output + ": " + std::to_string(made.train_tokens) + " training and " +
           std::to_string(made.val_tokens) + " validation tokens, vocabulary " + std::to_string(made.vocab) +
           " (" + made.tokenizer + ")");
  return 0;
}

int run_eval(const Context& context, const EvalArguments& arguments) {
  const auto& host = *context.host;
  Evaluation result;
  std::optional<ParamStore> store;
  std::optional<Gpt> gpt;
  std::optional<TokenFile> file;
  std::int64_t rows = 1;
  host.together([&] {
    const auto model = model_of(arguments.model);
    file = TokenFile::open(arguments.tokens);
    file->check_ids(model.vocab);
    file->blocks(model.block);
    store.emplace(model, types_of(Precision::fp32), choose_place(RunConfig{}, host), 1);
    load_model(arguments.model, *store);
    rows = std::max<std::int64_t>(1, kEvalTokens / model.block);
    gpt.emplace(model, *store, rows * model.block, Purpose::evaluation, false);
  });
  result = evaluate(host, *gpt, *store, *file, 0, rows);
  if (!context.is_root()) return 0;
  const double perplexity = std::exp(result.loss);
  if (arguments.format == OutputFormat::json)
    std::printf(
        "%s\n",
        nlohmann::ordered_json{{"loss", result.loss}, {"perplexity", perplexity}, {"tokens", result.tokens}}
            .dump()
            .c_str());
  else
    std::printf("loss %.6f nats/token (%.6f bits), perplexity %.4f, over %ld tokens\n", result.loss,
                result.loss / std::log(2.0), perplexity, static_cast<long>(result.tokens));
  return 0;
}

int run_sample(const Context&, const SampleArguments& a) {
  const auto model = model_of(a.model);
  const auto name =
      a.tokenizer.empty() ? tokenizer_of(resolve_checkpoint(a.model), model.vocab) : a.tokenizer;
  const auto tokenizer = Tokenizer::make(name);
  // 128 bytes are enough for a text in ASCII; a SentencePiece model with too many pieces is another model's.
  require(name == "byte" || tokenizer.vocab() <= model.vocab, Fault::input,
          "the tokenizer has more ids than the model");
  const ParamStore store(model, types_of(Precision::fp32), {}, 1);
  load_model(a.model, store);
  Gpt gpt(model, store, model.block, Purpose::evaluation, false);
  const Sampling how{a.tokens, a.temperature, a.top_k, a.seed, tokenizer.vocab()};
  const auto tokens = generate(gpt, store, tokenizer.encode(a.prompt), how);
  const auto text = a.prompt + tokenizer.decode(tokens) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);  // a zero byte is a token, too
  return 0;
}

}  // namespace weightscope
