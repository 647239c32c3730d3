#include "runtime/seq2seq.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "prep/tokenizer.h"

namespace miao::runtime {
namespace {

const std::filesystem::path kModels = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/seq2seq";

std::unique_ptr<Engine> open(const char* name) {
  auto engine = Engine::open(kModels / name, {.threads = 2, .kv = kernels::KvType::f32});
  EXPECT_TRUE(engine.ok()) << engine.error().str();
  return std::move(*engine);
}

// A copy of a case whose generation_config.json says something else.
std::filesystem::path with_settings(const char* name, const std::string& settings) {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("miao-seq2seq-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
  std::filesystem::remove_all(folder);
  std::filesystem::copy(kModels / name, folder);
  std::filesystem::remove(folder / "generation_config.json");
  if (!settings.empty()) std::ofstream(folder / "generation_config.json") << settings;
  return folder;
}

TEST(Seq2Seq, DefaultsAreThoseOfTheFiles) {
  const auto bart = open("bart");
  auto o = seq2seq_defaults(*bart);
  ASSERT_TRUE(o.ok()) << o.error().str();
  EXPECT_EQ(o->start, 2);
  EXPECT_EQ(o->beam.ends, std::vector<int32_t>{2});
  EXPECT_EQ(o->rules.last, 2);
  EXPECT_EQ(o->beam.beams, 1);
  EXPECT_EQ(o->beam.max_tokens, bart->ctx() - 1);
  const auto folder = with_settings("bart", R"({"decoder_start_token_id": 5, "eos_token_id": [2, 7], "num_beams": 4,
      "early_stopping": true, "length_penalty": 2.5, "max_length": 20, "min_length": 9, "no_repeat_ngram_size": 3,
      "forced_bos_token_id": 0, "bad_words_ids": [[3, 4], [5]], "suppress_tokens": null})");
  auto engine = Engine::open(folder);
  ASSERT_TRUE(engine.ok());
  o = seq2seq_defaults(**engine);
  ASSERT_TRUE(o.ok()) << o.error().str();
  EXPECT_EQ(o->start, 5);
  EXPECT_EQ(o->beam.ends, (std::vector<int32_t>{2, 7}));
  EXPECT_EQ(o->beam.beams, 4);
  EXPECT_EQ(o->beam.early, BeamOptions::Early::yes);
  EXPECT_EQ(o->beam.length_penalty, 2.5);
  EXPECT_EQ(o->beam.max_tokens, 19);
  EXPECT_EQ(o->rules.min_tokens, 8);
  EXPECT_EQ(o->rules.no_repeat_ngram, 3);
  EXPECT_EQ(o->rules.first, 0);
  EXPECT_EQ(o->rules.bad_words, (std::vector<std::vector<int32_t>>{{3, 4}, {5}}));
  std::filesystem::remove_all(folder);
}

TEST(Seq2Seq, DefaultsThatCannotBeReadNameTheirPlace) {
  for (const auto& [settings, part] : std::vector<std::pair<std::string, std::string>>{
           {R"({"num_beams": "four"})", "'num_beams'"},
           {R"({"num_beams": 0})", "'num_beams'"},
           {R"({"eos_token_id": [1, -2]})", "'eos_token_id'"},
           {R"({"bad_words_ids": [1]})", "'bad_words_ids'"},
           {R"({"early_stopping": "soon"})", "'early_stopping'"},
           {R"({"decoder_start_token_id": 999})", "decoder_start_token_id"},
           {"[]", "object"},
           {"{", "generation_config.json"}}) {
    const auto folder = with_settings("bart", settings);
    auto engine = Engine::open(folder);
    ASSERT_TRUE(engine.ok());
    const auto o = seq2seq_defaults(**engine);
    ASSERT_FALSE(o.ok()) << settings;
    EXPECT_NE(o.error().str().find(part), std::string::npos) << o.error().str();
    std::filesystem::remove_all(folder);
  }
}

TEST(Seq2Seq, OldFilesSayItInTheConfiguration) {
  const auto folder = with_settings("bart", "");
  auto engine = Engine::open(folder);
  ASSERT_TRUE(engine.ok());
  const auto o = seq2seq_defaults(**engine);
  ASSERT_TRUE(o.ok()) << o.error().str();
  EXPECT_EQ(o->start, 2);
  std::filesystem::remove_all(folder);
}

TEST(Seq2Seq, AnswersAreThoseOfTextsAlone) {
  const auto engine = open("bart");
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.beams = 3;
  o.beam.best = 2;
  o.beam.max_tokens = 9;
  o.batch = 3;
  const std::vector<std::string> texts{"abc", "a bad cab and a dab", "", "xyz bcd", "h"};
  const auto all = seq2seq(*engine, texts, o);
  ASSERT_TRUE(all.ok()) << all.error().str();
  ASSERT_EQ(all->size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    ASSERT_TRUE((*all)[i].ok());
    ASSERT_EQ((*all)[i]->size(), 2u);
    const auto alone = seq2seq(*engine, {&texts[i], 1}, o);
    ASSERT_TRUE(alone.ok());
    for (size_t n = 0; n < 2; ++n) {
      EXPECT_EQ((*all)[i]->at(n).tokens, (*alone)[0]->at(n).tokens) << texts[i];
      EXPECT_EQ((*all)[i]->at(n).score, (*alone)[0]->at(n).score);
    }
  }
}

TEST(Seq2Seq, ATextThatIsTooLongLosesNoOther) {
  const auto engine = open("t5");
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.max_tokens = 4;
  std::string longer;
  for (int i = 0; i < 100; ++i) longer += "abc ";
  const std::vector<std::string> texts{"ab", longer, "cd"};
  auto all = seq2seq(*engine, texts, o);
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE((*all)[0].ok());
  ASSERT_FALSE((*all)[1].ok());
  EXPECT_NE((*all)[1].error().message.find("64"), std::string::npos) << (*all)[1].error().message;
  EXPECT_TRUE((*all)[2].ok());
  o.truncate = true;
  all = seq2seq(*engine, texts, o);
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE((*all)[1].ok());
}

TEST(Seq2Seq, IdsAreWhatTextsBecome) {
  const auto engine = open("t5");
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.max_tokens = 6;
  const std::vector<std::string> texts{"ab", "a bad cab"};
  const prep::Tokenizer& tokenizer = **engine->tokenizer();
  std::vector<std::vector<int32_t>> inputs;
  for (const std::string& text : texts) inputs.push_back(*tokenizer.encode(text));
  const auto of_texts = seq2seq(*engine, texts, o);
  auto of_ids = seq2seq(*engine, inputs, o);
  ASSERT_TRUE(of_texts.ok() && of_ids.ok());
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ((*of_ids)[i][0].tokens, (*of_texts)[i]->front().tokens);
  for (const std::vector<int32_t>& bad : {std::vector<int32_t>{}, {-1}, {1, 67}, std::vector<int32_t>(65, 1)}) {
    inputs[1] = bad;
    of_ids = seq2seq(*engine, inputs, o);
    ASSERT_FALSE(of_ids.ok());
    EXPECT_EQ(of_ids.error().code, Code::invalid);
    EXPECT_EQ(of_ids.error().where, "input 2");
  }
}

TEST(Seq2Seq, APrefixIsHeldAndLeftOut) {
  const auto engine = open("t5");
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.max_tokens = 5;
  const std::vector<std::string> texts{"abc"};
  const auto plain = seq2seq(*engine, texts, o);
  o.prefix = "gag";
  const auto led = seq2seq(*engine, texts, o);
  ASSERT_TRUE(plain.ok() && led.ok());
  EXPECT_EQ((*led)[0]->front().tokens.size(), 5u);
  EXPECT_NE((*led)[0]->front().score, (*plain)[0]->front().score);
  for (int i = 0; i < 100; ++i) o.prefix += " gag";
  const auto full = seq2seq(*engine, texts, o);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().where, "prefix");
}

TEST(Seq2Seq, SamplesAreThoseOfTheirSeed) {
  const auto engine = open("bart");
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.max_tokens = 12;
  o.beam.sampling = SamplerOptions{.temperature = 1.5f, .seed = 7};
  const std::vector<std::string> texts{"abc"};
  const auto first = seq2seq(*engine, texts, o), again = seq2seq(*engine, texts, o);
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ((*first)[0]->front().tokens, (*again)[0]->front().tokens);
  std::vector<std::vector<int32_t>> different;
  for (uint64_t seed = 8; seed < 12; ++seed) {
    o.beam.sampling->seed = seed;
    different.push_back((*seq2seq(*engine, texts, o))[0]->front().tokens);
  }
  EXPECT_NE(std::count(different.begin(), different.end(), (*first)[0]->front().tokens), 4);
  o.beam.beams = 2;
  EXPECT_FALSE(seq2seq(*engine, texts, o).ok());
}

TEST(Seq2Seq, SamplesDoNotDependOnTheBatch) {
  const auto engine = open("bart");
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.max_tokens = 12;
  o.beam.sampling = SamplerOptions{.temperature = 1.5f, .seed = 7};
  const std::vector<std::string> texts{"abc", "a bad cab and a dab", "abc", "h"};
  o.batch = 1;
  const auto one = seq2seq(*engine, texts, o);
  o.batch = 4;
  const auto four = seq2seq(*engine, texts, o);
  ASSERT_TRUE(one.ok() && four.ok());
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ((*one)[i]->front().tokens, (*four)[i]->front().tokens);
  EXPECT_NE((*one)[0]->front().tokens, (*one)[2]->front().tokens);  // equal texts are drawn for apart
}

// A golden model with the tokenizer of tests/golden/sentencepiece that has its shape; `folder` is to be removed.
std::unique_ptr<Engine> with_tokenizer(const char* model, const char* tokenizer, std::filesystem::path& folder) {
  folder = with_settings(model, *read_file(kModels / model / "generation_config.json"));
  std::filesystem::copy(kModels.parent_path() / "sentencepiece" / tokenizer, folder);
  auto engine = Engine::open(folder);
  EXPECT_TRUE(engine.ok()) << engine.error().str();
  return std::move(*engine);
}

TEST(Seq2Seq, LanguagesLeadTheTextAndTheAnswer) {
  std::filesystem::path folder;
  const auto engine = with_tokenizer("m2m_100", "m2m", folder);
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.max_tokens = 4;
  const std::vector<std::string> texts{"the cat"};
  const prep::Languages languages(**engine->tokenizer());
  for (const char* target : {"fr", "de"}) {
    o.source = "en";
    o.target = target;
    const auto input = seq2seq_input(*engine, texts[0], o);
    ASSERT_TRUE(input.ok()) << input.error().str();
    EXPECT_EQ(input->ids.front(), *languages.id("en"));
    const auto answers = seq2seq(*engine, texts, o);
    ASSERT_TRUE(answers.ok()) << answers.error().str();
    EXPECT_EQ((*answers)[0]->front().tokens.front(), *languages.id(target));
    EXPECT_EQ((*answers)[0]->front().text.find("__"), std::string::npos);
  }
  o.truncate = true;
  std::string longer;
  for (int i = 0; i < 100; ++i) longer += "the cat ";
  const auto cut = seq2seq_input(*engine, longer, o);
  ASSERT_TRUE(cut.ok()) << cut.error().str();
  EXPECT_EQ(static_cast<int64_t>(cut->ids.size()), engine->input_ctx());
  EXPECT_EQ(cut->ids.front(), *languages.id("en"));
  EXPECT_EQ(cut->ids.back(), 2);
  o.target = "xx";
  const auto unknown = seq2seq(*engine, texts, o);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, Code::not_found);
  const auto bart = open("bart");
  o = *seq2seq_defaults(*bart);
  o.target = "fr";
  EXPECT_EQ(seq2seq(*bart, texts, o).error().code, Code::unsupported);
  std::filesystem::remove_all(folder);
}

TEST(Seq2Seq, AnswersAreInTheVocabularyOfTheDecoder) {
  std::filesystem::path folder;
  const auto engine = with_tokenizer("marian-two", "marian_two", folder);
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  o.beam.max_tokens = 5;
  const std::vector<std::string> texts{"the cat"};
  const auto answers = seq2seq(*engine, texts, o);
  ASSERT_TRUE(answers.ok()) << answers.error().str();
  const Seq2SeqAnswer& answer = (*answers)[0]->front();
  const prep::Tokenizer& tokenizer = **engine->tokenizer();
  EXPECT_EQ(answer.text, tokenizer.target().decode(answer.tokens));
  EXPECT_NE(answer.text, tokenizer.decode(answer.tokens));
  std::filesystem::remove_all(folder);
}

TEST(Seq2Seq, CancelledBeforeItBegins) {
  const auto engine = open("bart");
  Seq2SeqOptions o = *seq2seq_defaults(*engine);
  const std::atomic<bool> yes{true};
  o.cancel = &yes;
  const std::vector<std::string> texts{"abc"};
  const auto result = seq2seq(*engine, texts, o);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::cancelled);
}

TEST(Seq2Seq, SearchesThatMakeNoSense) {
  const auto engine = open("bart");
  const std::vector<std::string> texts{"abc"};
  const Seq2SeqOptions good = *seq2seq_defaults(*engine);
  for (int i = 0; i < 6; ++i) {
    Seq2SeqOptions o = good;
    if (i == 0) o.beam.beams = 0;
    if (i == 1) o.beam.beams = 257;
    if (i == 2) o.beam.best = 2;
    if (i == 3) o.beam.max_tokens = 0;
    if (i == 4) o.batch = 0;
    if (i == 5) o.start = -1;
    const auto result = seq2seq(*engine, texts, o);
    ASSERT_FALSE(result.ok()) << i;
    EXPECT_EQ(result.error().code, Code::invalid);
  }
  Seq2SeqOptions o = good;  // everything but one token is forbidden, and then that too
  for (int32_t id = 0; id < engine->vocab(); ++id) o.rules.suppressed.push_back(id);
  EXPECT_FALSE(seq2seq(*engine, texts, o).ok());
}

TEST(EngineEncode, BadInputs) {
  const auto engine = open("bart");
  const std::vector<int32_t> good{5, 6}, unknown{5, 67}, longer(65, 5);
  for (const auto& [ids, part] : std::vector<std::pair<std::span<const int32_t>, std::string>>{
           {{}, "no tokens"}, {unknown, "67"}, {longer, "64"}}) {
    const std::vector<EncoderInput> inputs{{.ids = good}, {.ids = ids}};
    const auto memory = engine->encode(inputs);
    ASSERT_FALSE(memory.ok());
    EXPECT_EQ(memory.error().where, "input 2");
    EXPECT_NE(memory.error().message.find(part), std::string::npos) << memory.error().message;
  }
  Sequence s = engine->new_sequence();
  const auto alone = engine->forward(s, good);
  ASSERT_FALSE(alone.ok());
  EXPECT_NE(alone.error().message.find("needs an input"), std::string::npos);
  const auto whisper = open("whisper");
  const std::vector<float> odd(20 * 3), many(20 * 102);
  EXPECT_FALSE(whisper->encode({{{.features = odd}}}).ok());
  EXPECT_FALSE(whisper->encode({{{.features = many}}}).ok());
}

}  // namespace
}  // namespace miao::runtime
