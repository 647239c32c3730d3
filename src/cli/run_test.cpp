// miao run, and what it shares with other verbs that run a model.
#include "base/json.h"
#include "cli/model.h"
#include "cli/testing.h"

namespace miao::cli {
namespace {

// Of tests/golden/seq2seq.
std::string encoder_decoder(const char* name) {
  return (std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/seq2seq" / name).string();
}

TEST(Guarded, WhateverIsThrownIsALineAndACode) {
  EXPECT_EQ(guarded([] { return 5; }), 5);
  EXPECT_EQ(guarded([]() -> int { throw std::bad_alloc(); }), kFailed);
  testing::internal::CaptureStderr();
  EXPECT_EQ(guarded([]() -> int { throw std::length_error("basic_string\n"); }), kBug);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "miao: bug: basic_string\\n; please report it with the command line\n");
  EXPECT_EQ(guarded([]() -> int { throw 1; }), kBug);
}

TEST_F(Cli, ABrokenChatTemplateStopsOnlyChats) {
  const std::string path = model("{% if %}");
  const Outcome raw = run({"run", path, "--raw", "a", "-n", "2", "-q"});
  EXPECT_EQ(raw.code, kOk) << raw.err;
  EXPECT_EQ(run({"logits", path, "--ids", "1 2", "-o", (dir_ / "l.npy").string()}).code, kOk);
  const Outcome chat = run({"run", path, "a", "-n", "2", "-q"});
  EXPECT_EQ(chat.code, kFailed);
  EXPECT_NE(chat.err.find("m.gguf: tokenizer.chat_template"), std::string::npos) << chat.err;
  EXPECT_NE(chat.err.find("give another with --template, or continue plain text with --raw"), std::string::npos);
}

TEST_F(Cli, BenchOfAnEncoder) {
  const std::string encoder = (fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders/bert").string();
  const Outcome json = run({"bench", encoder, "-p", "4,8", "-b", "2", "-r", "1", "-t", "1", "--json", "-q"});
  ASSERT_EQ(json.code, kOk) << json.err;
  const auto parsed = parse_json(json.out, "out");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ((*parsed)["rows"].size(), 2u);
  EXPECT_EQ((*parsed)["rows"][1]["mean_tokens"], 8);
  const Outcome table = run({"bench", encoder, "-p", "4", "-b", "2", "-r", "1", "-t", "1", "--profile"});
  EXPECT_NE(table.out.find("4 tokens, batch 2"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("us per token"), std::string::npos) << table.out;
  const struct {
    std::vector<std::string> flags;
    const char* message;
  } cases[] = {{{"-n", "4"}, "this model is an encoder: --gen and --depth are for decoders"},
               {{"-p", "0"}, "nothing to measure: --prompt is 0, and there are no --texts or --lengths"}};
  for (const auto& c : cases) {
    std::vector<std::string> arguments{"bench", encoder};
    arguments.insert(arguments.end(), c.flags.begin(), c.flags.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, kUsage);
    EXPECT_NE(outcome.err.find(c.message), std::string::npos) << outcome.err;
  }
  EXPECT_NE(run({"bench", encoder, "--texts", "missing.txt"}).err.find("missing.txt"), std::string::npos);
  EXPECT_EQ(run({"bench", model(), "--texts", "x"}).code, kUsage);
}

TEST_F(Cli, BenchOfAnEncoderDecoder) {
  const std::string path = encoder_decoder("t5");
  const Outcome json =
      run({"bench", path, "-p", "6", "-n", "4", "-b", "1,2", "--beams", "1,3", "-r", "1", "--json", "-q"});
  ASSERT_EQ(json.code, kOk) << json.err;
  const auto parsed = parse_json(json.out, "out");
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ((*parsed)["rows"].size(), 4u);
  EXPECT_EQ((*parsed)["rows"][3]["beams"], 3);
  EXPECT_EQ((*parsed)["rows"][3]["batch"], 2);
  EXPECT_GT((*parsed)["rows"][3]["written_tok_s"]["median"], 0);
  const std::string page = (dir_ / "page.html").string();
  const Outcome table = run({"bench", path, "-r", "1", "-t", "1", "--profile", "--html", page});
  ASSERT_EQ(table.code, kOk) << table.err;
  for (const char* part : {"written tok/s", "cross_kv", "32 to 32 tokens, greedy, batch 1  us per token"})
    EXPECT_NE(table.out.find(part), std::string::npos) << part << table.out;
  EXPECT_NE(read_file(page)->find("encode tokens/s"), std::string::npos);
  for (const char* flag : {"--depth", "--texts", "--lengths"}) {
    const Outcome outcome = run({"bench", path, flag, flag == std::string("--lengths") ? "poisson:4" : "4"});
    EXPECT_EQ(outcome.code, kUsage) << flag;
    EXPECT_NE(outcome.err.find("this model is an encoder-decoder"), std::string::npos) << outcome.err;
  }
  EXPECT_NE(run({"bench", path, "-n", "4,0"}).err.find("--prompt and --gen begin at 1"), std::string::npos);
  EXPECT_NE(run({"bench", path, "--beams", "257"}).err.find("257 not in range 1 to 256"), std::string::npos);
  EXPECT_NE(run({"bench", model(), "--beams", "2"}).err.find("--beams is for encoder-decoders"), std::string::npos);
  const Outcome speech = run({"bench", encoder_decoder("whisper")});
  EXPECT_EQ(speech.code, kFailed);
  EXPECT_NE(speech.err.find("turns speech into text, which bench does not measure"), std::string::npos) << speech.err;
}

TEST_F(Cli, WrongValuesAreToldBeforeAModelIsLoaded) {
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } cases[] = {
      {{"run", "x", "a", "--dtype", "int3"}, "--dtype: int3 not in {auto,fp32,f32,bf16x3,bf16x2,int8}"},
      {{"run", "x", "a", "--kv", "q8"}, "--kv: q8 not in {f32,f16,bf16,int8,int4,fp32}"},
      {{"run", "x", "a", "--top-p", "2"}, "--top-p: '2' is not a number from 0 to 1"},
      {{"run", "x", "a", "--seed", "-1"}, "--seed: '-1' is not a whole number from 0 to 2^64 - 1"},
      {{"run", "x", "a", "--stop", ""}, "--stop: is empty"},
      {{"run", "x", "a", "--logit-bias", "1:2"}, "--logit-bias: '1:2': write ID=VALUE, as in 15=-2.5 or 15=-inf"},
      {{"run", "x", "a", "--greedy", "--temp", "0.5"}, "--temp excludes --greedy"},
      {{"run", "x", "a", "--raw", "--system", "b"}, "--system excludes --raw"},
      {{"run", "x", "a", "--raw", "--template", "b"}, "--template excludes --raw"},
      {{"run", "x"}, "the prompt is empty"},
      {{"run", "x", "--raw"}, "the prompt is empty"},
      {{"run", "x", " "}, "the prompt is empty"},
      {{"bench", "--kernels", "--isa", "neon"}, "--isa: neon not in {scalar,avx2,avx512,amx}"},
      {{"bench", "x", "--lengths", "uniform:5:1"}, "--lengths: 'uniform:5:1': write uniform:A:B with 1 <= A <= B"},
      {{"bench", "x", "--lengths", "uniform:1:2000000"}, "the longest input allowed is 1048576 tokens"},
      {{"bench", "x", "--seed", "-1"}, "--seed: '-1' is not a whole number"},
      {{"logits", "x", "-o", "y"}, "there are no tokens; give --ids or --text"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = run(c.arguments);
    EXPECT_EQ(outcome.code, kUsage) << c.message;
    EXPECT_NE(outcome.err.find(c.message), std::string::npos) << c.message << "\n" << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(Cli, WhatIsPipedInGoesBeforeThePrompt) {
  const std::string path = model(), form = put("f.jinja", "{{ messages[0].content }}").string();
  const auto tokens = [&](const std::vector<std::string>& more, const std::string& input) {
    std::vector<std::string> arguments = {"run", path, "--json", "--template", form, "-n", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto json = parse_json(run(arguments, input).out, "run");
    return json.ok() ? (*json)["prompt_tokens"].get<int>() : -1;
  };
  const int alone = tokens({"abcdefgh"}, "");
  EXPECT_EQ(tokens({"-"}, "abcdefgh"), alone);
  EXPECT_EQ(tokens({}, "abcdefgh"), alone);
  EXPECT_EQ(tokens({"fgh"}, "abc\n"), tokens({}, "abc\n\nfgh"));
  EXPECT_EQ(tokens({"abcdefgh"}, "\n"), alone);
}

TEST_F(Cli, AnEmptyRawPromptAsksForTheFirstWords) {
  EXPECT_EQ(run({"run", model(), "--raw", "", "-n", "2", "-q"}).code, kOk);
}

TEST_F(Cli, InputsAreBounded) {
  const fs::path large = put("large", "");
  fs::resize_file(large, kMaxPrompt + 1);
  const std::vector<std::string> arguments = {"run", model(), "-q"};
  const int code = wait(start(arguments, large, dir_ / "stdout"));
  EXPECT_EQ(code, kFailed);
  EXPECT_EQ(get("stderr"), "miao: error: standard input: is larger than the limit of 67108864 bytes\n");
}

TEST_F(Cli, IdsOutsideTheVocabulary) {
  const std::string path = model(), output = (dir_ / "l.npy").string();
  const Outcome logits = run({"logits", path, "--ids", "1 266", "-o", output});
  EXPECT_EQ(logits.code, kUsage);
  EXPECT_NE(logits.err.find("--ids: token id 266 is not within 0 to 265"), std::string::npos) << logits.err;
  const Outcome prompt = run({"tokens", path, "--decode", "-p", "[1, -1]"});
  EXPECT_EQ(prompt.code, kUsage);
  EXPECT_NE(prompt.err.find("--prompt: token id -1 is not within 0 to 265"), std::string::npos) << prompt.err;
  const Outcome line = run({"tokens", path, "--decode"}, "[262]\n[99999999999999999999999]\n");
  EXPECT_EQ(line.code, kFailed);
  EXPECT_NE(line.err.find("line 2: token id 99999999999999999999999 is not within"), std::string::npos) << line.err;
  for (const char* wrong : {"[1,2", "1,2]", "1,,2", "1;2", "1 2x", "[1] [2]", "1,2,"}) {
    EXPECT_EQ(run({"tokens", path, "--decode", "-p", wrong}).code, kUsage) << wrong;
  }
  EXPECT_EQ(run({"tokens", path, "--decode", "-p", " [ 262 ,260] "}).out,
            run({"tokens", path, "--decode", "-p", "262 260"}).out);
}

TEST_F(Cli, LogitsToAPipe) {
  const std::string path = model(), output = (dir_ / "l.npy").string();
  const Outcome file = run({"logits", path, "--ids", "1 2 3", "-o", output});
  EXPECT_EQ(file.out, output + ": 3 rows of 266 logits\n");
  EXPECT_TRUE(run({"logits", path, "--ids", "1 2 3", "-o", "-"}).out == get("l.npy"));
  EXPECT_EQ(run({"logits", path, "--ids", "1 2 3", "-o", "-", "--json"}).code, kUsage);
}

TEST_F(Cli, AVocabularyIsNoModel) {
  io::GgufBuilder file = runtime::talking_model();
  file.tensors.clear();
  ASSERT_TRUE(file.write(dir_ / "v.gguf").ok());
  const std::string path = (dir_ / "v.gguf").string();
  EXPECT_EQ(run({"tokens", path, "-p", "a"}).code, kOk);
  const Outcome outcome = run({"run", path, "a"});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_TRUE(outcome.err.starts_with("miao: error: " + path + ": holds no weights, perhaps a vocabulary alone"));
}

TEST_F(Cli, AnEncoderDecoderAnswersEveryText) {
  const Outcome two = run({"run", encoder_decoder("bart"), "abc", "dab", "-n", "4", "-q"});
  ASSERT_EQ(two.code, kOk) << two.err;
  EXPECT_EQ(std::count(two.out.begin(), two.out.end(), '\n'), 2) << two.out;
  const Outcome lines = run({"run", encoder_decoder("bart"), "--lines", "-n", "4", "-q"}, "abc\n\ndab\n");
  EXPECT_EQ(lines.out, two.out);
  const Outcome json = run({"run", encoder_decoder("bart"), "abc", "-n", "4", "--beams", "3", "--best", "2", "--json"});
  ASSERT_EQ(json.code, kOk) << json.err;
  const Json object = *parse_json(json.out, "output");
  EXPECT_EQ(object["beams"], 3);
  ASSERT_EQ(object["results"][0]["answers"].size(), 2u);
  EXPECT_GE(object["results"][0]["answers"][0]["score"].get<double>(),
            object["results"][0]["answers"][1]["score"].get<double>());
}

TEST_F(Cli, ATextThatIsTooLongIsReportedAndTheOthersAreAnswered) {
  std::string longer;
  for (int i = 0; i < 100; ++i) longer += "abc ";
  const Outcome some = run({"run", encoder_decoder("t5"), longer, "ab", "-n", "3", "-q"});
  EXPECT_EQ(some.code, kFailed);
  EXPECT_EQ(some.out.front(), '\n');
  EXPECT_GT(some.out.size(), 3u);
  EXPECT_NE(some.err.find("text 1"), std::string::npos) << some.err;
  const Outcome all = run({"run", encoder_decoder("t5"), longer, "ab", "-n", "3", "-q", "--truncate"});
  EXPECT_EQ(all.code, kOk) << all.err;
  EXPECT_EQ(run({"run", encoder_decoder("t5"), "ab", "--beams", "2", "--temperature", "1"}).code, kFailed);
}

TEST_F(Cli, FlagsOfOtherKindsOfModelsAreErrors) {
  const std::string decoder = model(), text = encoder_decoder("bart");
  const std::string encoder = (std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/encoders/bert").string();
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"run", decoder, "a", "--beams", "2"}, "--beams"},     {{"run", decoder, "a", "--lines"}, "--lines"},
      {{"run", decoder, "a", "--format", "srt"}, "--format"}, {{"run", text, "a", "--system", "b"}, "--system"},
      {{"run", text, "a", "--timestamps"}, "--timestamps"},   {{"run", encoder, "a", "--greedy"}, "--greedy"},
      {{"run", encoder, "a", "-n", "3"}, "--max-tokens"},     {{"run", encoder, "a", "--kv", "f16"}, "--kv"},
      {{"run", encoder, "a", "--target", "fr"}, "--target"}};
  for (const auto& [arguments, flag] : cases) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, kFailed) << flag;
    EXPECT_NE(outcome.err.find(flag + ": means nothing to"), std::string::npos) << outcome.err;
  }
}

// The tokens of an answer, with what the model thought of each: greedily, each is the likeliest.
TEST_F(Cli, Explain) {
  const auto tokens_of = [](const Json& tokens) {
    std::vector<int32_t> out;
    for (const Json& t : tokens) out.push_back(t["token"].get<int32_t>());
    return out;
  };
  const std::string page = (dir_ / "page.html").string();
  for (const std::string& model : {model(), encoder_decoder("t5")}) {
    SCOPED_TRACE(model);
    const Outcome told = run({"run", model, "ab", "-n", "4", "--greedy", "--explain", "--json"});
    ASSERT_EQ(told.code, kOk) << told.err;
    const Json whole = Json::parse(told.out),
               answer = whole.contains("results") ? whole["results"][0]["answers"][0] : whole;
    const Json& likelihood = answer["likelihood"];
    ASSERT_GE(likelihood.size(), 1u);
    EXPECT_EQ(tokens_of(likelihood), answer["tokens"].get<std::vector<int32_t>>());
    for (const Json& t : likelihood) {
      EXPECT_EQ(t["rank"], 1);
      EXPECT_EQ(t["best"].size(), 4u);
      EXPECT_EQ(t["best"][0]["token"], t["token"]);
      EXPECT_EQ(t["best"][0]["log_probability"], t["log_probability"]);
      EXPECT_GE(t["best"][0]["log_probability"], t["best"][1]["log_probability"]);
    }
    const Outcome shown = run({"run", model, "ab", "-n", "4", "--greedy", "--explain", "-q"});
    EXPECT_EQ(shown.code, kOk) << shown.err;
    EXPECT_NE(shown.out.find("perplexity"), std::string::npos) << shown.out;
    EXPECT_NE(shown.out.find("INSTEAD"), std::string::npos) << shown.out;
    const Outcome written = run({"run", model, "a <b>", "-n", "4", "--greedy", "--explain=" + page, "-q"});
    EXPECT_EQ(written.code, kOk) << written.err;
    EXPECT_EQ(written.out.find("perplexity"), std::string::npos);
    EXPECT_NE(read_file(page)->find("a &lt;b&gt;"), std::string::npos);
    const Outcome nowhere = run({"run", model, "ab", "-n", "4", "--explain=" + dir_.string(), "-q"});
    EXPECT_EQ(nowhere.code, kFailed);
    EXPECT_EQ(nowhere.out, "");  // told before the model works
  }
}

}  // namespace
}  // namespace miao::cli
