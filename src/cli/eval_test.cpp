// miao eval, on tiny models.
#include <algorithm>

#include "base/json.h"
#include "cli/testing.h"

namespace miao::cli {
namespace {

const fs::path kEncoders = fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders";

class Eval : public Cli {
 protected:
  std::string prose(int sentences = 60) {
    std::string out;
    for (int i = 0; i < sentences; ++i) out += "the cat number " + std::to_string(i * i) + " sat.\n";
    return put("prose.txt", out).string();
  }
  // The tokenizer of model() with weights of their own.
  std::string stranger() {
    io::GgufBuilder file = models::TinyModel{.vocab = 266, .seed = 9}.gguf();
    for (const auto& key : runtime::talking_model().keys) {
      if (key.name.starts_with("tokenizer.")) file.keys.push_back(key);
    }
    EXPECT_TRUE(file.write(dir_ / "s.gguf").ok());
    return (dir_ / "s.gguf").string();
  }
  Json json(std::vector<std::string> arguments, int code = kOk) {
    arguments.push_back("--json");
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }
  void expect_error(const std::vector<std::string>& arguments, std::string_view words, int code = kFailed) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
};

TEST_F(Eval, ATextAlone) {
  const std::string file = model(), text = prose();
  const Json found = json({"eval", file, "--text", text, "--ctx", "32", "--chunks", "20"});
  EXPECT_GT(found["ppl"].get<double>(), 1);
  EXPECT_LT(found["intervals"]["ppl"][0].get<double>(), found["ppl"].get<double>());
  EXPECT_GT(found["intervals"]["ppl"][1].get<double>(), found["ppl"].get<double>());
  EXPECT_EQ(found["units"].get<int>(), 20);
  EXPECT_EQ(found["items"].get<int>(), 20 * 15);
  EXPECT_TRUE(found["against"].is_null());
  EXPECT_TRUE(found["verdict"].is_null());
  EXPECT_EQ(found["data"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(found["subject"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_FALSE(found["subject"]["isa"].get<std::string>().empty());
  EXPECT_FALSE(found["subject"]["kernels"].empty());
  EXPECT_EQ(found["command"].get<std::string>(), "miao eval " + file + " --text " + text + " --ctx 32 --chunks 20");
  const Outcome piped =
      run({"eval", file, "--text", "-", "--ctx", "32", "-t", "1", "--chunks", "20", "--json"}, get("prose.txt"));
  EXPECT_EQ(Json::parse(piped.out, nullptr, false)["ppl"].get<double>(), found["ppl"].get<double>());
}

TEST_F(Eval, AgainstABase) {
  const std::string file = model(), text = prose(), other = stranger();
  const Json same = json({"eval", file, "--against", file, "--base-dtype", "fp32", "--text", text, "--ctx", "32",
                          "--max-loss", "ppl:0.1%", "--max-loss", "kld:0.0001"});
  EXPECT_EQ(same["verdict"].get<std::string>(), "passes");
  EXPECT_LT(same["kld_mean"].get<double>(), 1e-6);
  EXPECT_GE(same["same_top1"].get<double>(), 0.99);
  EXPECT_EQ(same["base"]["dtype"].get<std::string>(), "fp32");
  const std::string page = (dir_ / "report.html").string();
  const Json apart = json({"eval", file, "--against", other, "--text", text, "--ctx", "32", "--max-loss", "kld:0.001",
                           "--max-loss", "1%", "--html", page},
                          kOverBudget);
  EXPECT_EQ(apart["verdict"].get<std::string>(), "fails");
  EXPECT_EQ(apart["budgets"][0]["outcome"].get<std::string>(), "fails");
  EXPECT_EQ(apart["budgets"][1]["budget"].get<std::string>(), "ppl:1%");
  EXPECT_GT(apart["kld_p99"].get<double>(), apart["kld_mean"].get<double>());
  EXPECT_LT(apart["same_top1"].get<double>(), 0.5);
  const std::string html = get("report.html");
  EXPECT_NE(html.find("Verdict: "), std::string::npos);
  EXPECT_NE(html.find("<svg"), std::string::npos);
  EXPECT_EQ(html.find("<script"), html.rfind("<script")) << "the page's own alone";
}

TEST_F(Eval, KeysAndValuesOfOneModel) {
  const std::string file = model(), text = prose();
  double last = 0;
  for (const char* kv : {"f16", "int8", "int4"}) {
    const Json found =
        json({"eval", file, "--kv", kv, "--against", file, "--base-kv", "f32", "--text", text, "--ctx", "32"});
    EXPECT_EQ(found["base"]["kv"].get<std::string>(), "F32");
    EXPECT_NE(found["command"].get<std::string>().find(std::string("--kv ") + kv + " --base-kv f32"),
              std::string::npos);
    EXPECT_GT(found["kld_mean"].get<double>(), last) << kv;
    last = found["kld_mean"].get<double>();
  }
  EXPECT_LT(last, 0.3);
}

TEST_F(Eval, ATableForPeople) {
  const std::string file = model(), text = prose();
  const Outcome few = run(
      {"eval", file, "--against", stranger(), "--text", text, "--ctx", "32", "--chunks", "5", "--max-loss", "kld:50"});
  EXPECT_EQ(few.code, kOverBudget);
  EXPECT_NE(few.out.find("75 tokens of 5 chunks"), std::string::npos) << few.out;
  EXPECT_NE(few.out.find("not shown (budget kld:50): the mean KL divergence from the base is"), std::string::npos);
  EXPECT_NE(few.out.find("; a bound takes 3 more chunks"), std::string::npos) << few.out;
}

TEST_F(Eval, WrongUsage) {
  const std::string file = model(), text = prose();
  expect_error({"eval", file}, "give one of --text, ", kUsage);
  expect_error({"eval", file, "--text", text, "--max-loss", "1%"}, "name one with --against", kUsage);
  expect_error({"eval", file, "--text", text, "--against", file, "--max-loss", "speed:1%"}, "no metric 'speed'",
               kUsage);
  expect_error({"eval", file, "--text", text, "--level", "30"}, "'30' is not a number from 51", kUsage);
}

TEST_F(Eval, BadInput) {
  const std::string file = model(), text = prose();
  expect_error({"eval", file, "--text", put("empty", "").string()}, "is empty");
  expect_error({"eval", file, "--text", put("zero", std::string("a\0b", 3)).string()}, "is binary (byte 1 is 0)");
  expect_error({"eval", file, "--text", (dir_ / "none").string()}, "cannot open");
  expect_error({"eval", file, "--text", put("short", "the cat").string()}, "tokens, and one window takes 512");
  expect_error({"eval", file, "--text", text, "--ctx", "600"}, "its context holds 512 tokens, windows have 600");
  expect_error({"eval", file, "--text", text, "--ctx", "2"}, "at least 8 tokens");
  expect_error({"eval", (kEncoders / "bert").string(), "--text", text}, "is an encoder, which finds no text likely");
  expect_error({"eval", file, "--against", file, "--text", text, "--ctx", "32", "--max-loss", "wer:1%"},
               "has no such loss, but ppl, kld, top1, flips");
  expect_error({"eval", file, "--text", text, "--html", dir_.string()}, dir_.string());
}

TEST_F(Eval, Choices) {
  std::string lines;
  for (int i = 0; i < 12; ++i)
    lines += R"({"question": "the cat )" + std::to_string(i) +
             R"(", "choices": ["sat", "sang"], "answer": "sat"})"
             "\n";
  const std::string file = model(), asked = put("q.jsonl", lines).string();
  const Json found = json({"eval", file, "--against", file, "--choices", asked, "--max-loss", "accuracy:60%"});
  EXPECT_EQ(found["task"].get<std::string>(), "choices");
  EXPECT_EQ(found["items"].get<int>(), 12);
  EXPECT_EQ(found["flips"].get<double>(), 0);
  EXPECT_EQ(found["mcnemar_p"].get<double>(), 1);
  EXPECT_TRUE(found["intervals"].contains("accuracy_norm"));
  EXPECT_EQ(found["verdict"].get<std::string>(), "passes");
  expect_error({"eval", file, "--choices", put("bad.tsv", "a\tb\n").string()}, "bad.tsv:1: has no prompt");
  expect_error({"eval", (kEncoders / "bert").string(), "--choices", asked}, "is no decoder");
  expect_error({"eval", file, "--choices", asked, "--labels", asked}, "one measurement at a time", kUsage);
  expect_error({"eval", file, "--speech", put("r.tsv", "a.wav\tb\n").string()}, "is no model of speech");
}

TEST_F(Eval, Vectors) {
  const fs::path folder = dir_ / "bert";
  fs::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(kEncoders / "bert" / name, folder / name);
  fs::copy_file(kEncoders.parent_path() / "tasks/tokenizer.json", folder / "tokenizer.json");
  std::string lines, pairs;
  for (int i = 0; i < 12; ++i) {
    lines += "The cat sat in " + std::to_string(i) + "\n";
    pairs += "The cat\tsat " + std::to_string(i) + "\t" + std::to_string(i) + "\n";
  }
  const std::string texts = put("t.txt", lines).string();
  const Json found = json({"eval", folder.string(), "--dtype", "int8", "--against", folder.string(), "--texts", texts,
                           "--near", "3", "--max-loss", "cosine:0.1"});
  EXPECT_GT(found["cosine_min"].get<double>(), 0.9);
  EXPECT_EQ(found["subject"]["dtype"].get<std::string>(), "int8");
  EXPECT_TRUE(found["subject"]["kv"].is_null());
  EXPECT_TRUE(found.contains("overlap"));
  const Json ranked = json({"eval", folder.string(), "--pairs", put("p.tsv", pairs).string()});
  EXPECT_TRUE(ranked["intervals"].contains("spearman"));
  expect_error({"eval", folder.string(), "--texts", texts}, "name one with --against", kUsage);
  expect_error({"eval", folder.string(), "--labels", put("l.tsv", "a\tb\n").string()}, "no head that classifies");
}

}  // namespace
}  // namespace miao::cli
