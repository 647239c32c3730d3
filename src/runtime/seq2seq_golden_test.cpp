// Encoder-decoders against transformers in FP32 on tiny random models, for every model of tests/golden/seq2seq, from
// both kinds of files, with the kernels of every instruction set of this processor.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "io/npy.h"
#include "runtime/beam_search.h"
#include "runtime/engine.h"
#include "runtime/test_golden.h"
#include "runtime/token_rules.h"

namespace miao::runtime {
namespace {

const std::filesystem::path kModels = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/seq2seq";

// The inputs of a case, with the features of audio.
struct Case {
  explicit Case(const Json& json) : name(json["name"].get<std::string>()) {
    const auto file = kModels / name / "features.npy";
    if (std::filesystem::exists(file)) features = *io::read_npy(file);
    for (const Json& input : json["inputs"]) {
      ids.push_back(input["ids"].get<std::vector<int32_t>>());
      targets.push_back(input["decoder_ids"].get<std::vector<int32_t>>());
    }
  }
  EncoderInput input(size_t i) const {
    if (features.rows == 0) return {.ids = ids[i]};
    const int64_t frames = features.rows / static_cast<int64_t>(ids.size());
    return {.features = {features.row(frames * static_cast<int64_t>(i)).data(),
                         static_cast<size_t>(frames * features.cols)}};
  }

  std::string name;
  std::vector<std::vector<int32_t>> ids, targets;
  io::Matrix features;
};

void check_logits(const Json& json, const std::filesystem::path& model, const Case& c, const std::string& isa) {
  EngineOptions options;
  options.threads = 1;
  options.kv = kernels::KvType::f32;
  options.isa = isa;
  auto engine = Engine::open(model, options);
  ASSERT_TRUE(engine.ok()) << engine.error().str();
  auto golden = io::read_npy(kModels / c.name / "logits.npy");
  ASSERT_TRUE(golden.ok()) << golden.error().str();
  ASSERT_EQ(golden->cols, (*engine)->vocab());
  std::vector<EncoderInput> inputs;
  for (size_t i = 0; i < c.ids.size(); ++i) inputs.push_back(c.input(i));
  auto memory = (*engine)->encode(inputs);  // together
  ASSERT_TRUE(memory.ok()) << memory.error().str();
  Difference difference;
  int64_t row = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Sequence sequence = (*engine)->new_sequence();
    auto logits = (*engine)->forward(sequence, c.targets[i], Want::all, &(*memory)[i]);
    ASSERT_TRUE(logits.ok()) << logits.error().str();
    for (int64_t t = 0; t < logits->rows(); ++t, ++row) {
      difference.add(golden->row(row), logits->row(t));
    }
  }
  EXPECT_EQ(row, golden->rows);
  expect_close(json, model, difference);
}

TEST(Seq2SeqGolden, LogitsOfTransformers) {
  const Json all = golden_manifest(kModels);
  ASSERT_GE(all["cases"].size(), 9u);
  for (const Json& json : all["cases"]) {
    const Case c(json);
    for (const std::string& isa : isas()) {
      SCOPED_TRACE(c.name + " " + isa);
      check_logits(json, kModels / c.name, c, isa);
      if (json["gguf"].get<bool>()) check_logits(json, kModels / c.name / "model.gguf", c, isa);
    }
  }
}

// generate()'s options, and the defaults of the case's configuration.
struct SearchOf {
  SearchOf(const Json& options, const Json& config, int64_t words) {
    const auto get = [&](const char* key, auto fallback) { return options.value(key, config.value(key, fallback)); };
    beam.beams = get("num_beams", int64_t{1});
    beam.best = get("num_return_sequences", int64_t{1});
    beam.length_penalty = get("length_penalty", 1.0);
    beam.max_tokens = rules.max_tokens = words;
    beam.ends = rules.ends = {get("eos_token_id", 1)};
    if (options.contains("early_stopping")) {
      beam.early = options["early_stopping"].is_string() ? BeamOptions::Early::never : BeamOptions::Early::yes;
    }
    rules.repetition_penalty = get("repetition_penalty", 1.0);
    rules.no_repeat_ngram = get("no_repeat_ngram_size", int64_t{0});
    rules.bad_words = get("bad_words_ids", std::vector<std::vector<int32_t>>());
    rules.min_tokens = get("min_new_tokens", int64_t{0});
    rules.first = get("forced_bos_token_id", -1);
    rules.last = get("forced_eos_token_id", -1);
    start = get("decoder_start_token_id", 0);
  }
  BeamOptions beam;
  TokenRuleOptions rules;
  int32_t start = 0;
};

TEST(Seq2SeqGolden, SequencesOfGenerate) {
  const Json all = golden_manifest(kModels);
  size_t compared = 0;
  for (const Json& json : all["cases"]) {
    const Case c(json);
    auto engine = Engine::open(kModels / c.name, {.threads = 2, .kv = kernels::KvType::f32});
    ASSERT_TRUE(engine.ok()) << engine.error().str();
    const Json config = *parse_json(*read_file(kModels / c.name / "generation_config.json"), "config");
    for (const auto& [name, options] : all["searches"].items()) {
      SCOPED_TRACE(c.name + " " + name);
      const SearchOf search(options, config, all["words"].get<int64_t>());
      std::vector<EncoderInput> inputs;
      std::vector<const Json*> wanted;
      for (size_t i = 0; i < c.ids.size(); ++i) {
        for (const Json& g : json["inputs"][i]["generate"]) {
          if (g["name"] != name) continue;
          inputs.push_back(c.input(i));
          wanted.push_back(&g);
        }
      }
      auto memory = (*engine)->encode(inputs);
      ASSERT_TRUE(memory.ok()) << memory.error().str();
      std::vector<BeamInput> starts;
      for (const Sequence& m : *memory) starts.push_back({&m, {search.start}});
      auto found = beam_search(**engine, starts, search.beam, token_rules(search.rules));
      ASSERT_TRUE(found.ok()) << found.error().str();
      for (size_t i = 0; i < wanted.size(); ++i) {
        const auto sequences = (*wanted[i])["sequences"].get<std::vector<std::vector<int32_t>>>();
        const auto scores = (*wanted[i])["scores"].get<std::vector<double>>();
        ASSERT_EQ((*found)[i].size(), sequences.size());
        for (size_t n = 0; n < sequences.size(); ++n, ++compared) {
          EXPECT_EQ((*found)[i][n].tokens, sequences[n]) << "input " << i << ", hypothesis " << n;
          if (!scores.empty()) EXPECT_NEAR((*found)[i][n].score, scores[n], 1e-4 * std::fabs(scores[n]) + 1e-5);
        }
        // Alone it gives the same bits.
        auto alone = beam_search(**engine, std::span(starts).subspan(i, 1), search.beam, token_rules(search.rules));
        ASSERT_TRUE(alone.ok());
        for (size_t n = 0; n < sequences.size(); ++n) {
          EXPECT_EQ((*alone)[0][n].tokens, (*found)[i][n].tokens);
          EXPECT_EQ((*alone)[0][n].score, (*found)[i][n].score);
        }
      }
    }
  }
  EXPECT_GE(compared, 200u);
}

}  // namespace
}  // namespace miao::runtime
