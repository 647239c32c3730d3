// miao compress as a user meets it, on a tiny model.
#include "base/json.h"
#include "cli/testing.h"
#include "compress/measurements.h"
#include "runtime/encoder_testing.h"

namespace miao::cli {
namespace {

class CompressVerb : public Cli {
 protected:
  CompressVerb() {
    EXPECT_TRUE(runtime::talking_model().write(model()).ok());
    std::string text;
    for (int i = 0; i < 2500; ++i)
      text += "the cat number " + std::to_string(i * i) + " sat on mat " + std::to_string(i) + "\n";
    EXPECT_TRUE(write_file_atomic(dir_ / "text.txt", text).ok());
    EXPECT_EQ(setenv("MIAO_CACHE", (dir_ / "cache").c_str(), 1), 0);
  }
  ~CompressVerb() override { unsetenv("MIAO_CACHE"); }
  std::string model() const { return dir_ / "model.gguf"; }
  std::string folder() const { return dir_ / "small"; }
  Outcome compress(std::vector<std::string> flags) {
    std::vector<std::string> arguments{"compress", model(), "-o",      folder(),         "--prompt", "32",
                                       "--gen",    "8",     "--types", "Q4_0,Q5_0,Q8_0", "--text",   dir_ / "text.txt"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return run(arguments);
  }
};

TEST_F(CompressVerb, WritesAModelAReportAndTheCommandThatGivesTheSameBytes) {
  const Outcome done = compress({"--max-loss", "kld:0.5", "--max-size", "50%"});
  ASSERT_EQ(done.code, kOk) << done.err << done.out;
  EXPECT_NE(done.out.find("model.gguf"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("passes (budget kld:0.5)"), std::string::npos) << done.out;
  EXPECT_NE(done.err.find("Spearman"), std::string::npos) << done.err;
  const Json report = Json::parse(*read_file(fs::path(folder()) / "report.json"));
  EXPECT_TRUE(report["kept"].get<bool>());
  EXPECT_EQ(report["additivity"]["measured"].size(), 12u);
  EXPECT_EQ(run({"verify", folder() + "/model.gguf"}).code, kOk);
  EXPECT_EQ(run({"run", folder() + "/model.gguf", "hello", "-n", "3"}).code, kOk);

  // What reproduce.sh says, in this program.
  const std::string script = *read_file(fs::path(folder()) / "reproduce.sh");
  const auto value_of = [&](const std::string& flag) {
    const size_t begin = script.find(flag + " ") + flag.size() + 1;
    return script.substr(begin, script.find_first_of(" \n", begin) - begin);
  };
  const auto before = fs::current_path();
  fs::current_path(folder());
  const Outcome again =
      run({"quantize", model(), "-o", "again.gguf", "--type", value_of("--type"), "--pure", "--tensor-types",
           "types.txt", "--calibration", "calibration.txt", "--kv", value_of("--kv")});
  fs::current_path(before);
  ASSERT_EQ(again.code, kOk) << again.err;
  EXPECT_TRUE(*read_file(fs::path(folder()) / "again.gguf") == *read_file(fs::path(folder()) / "model.gguf"));
}

TEST_F(CompressVerb, TheExitCodeSaysThatNothingKeepsTheBudgets) {
  const Outcome done = compress({"--max-loss", "kld:0.000001", "--max-size", "10%", "--tries", "1", "--json"});
  ASSERT_EQ(done.code, kUnmet) << done.err;
  const Json report = Json::parse(done.out);
  EXPECT_FALSE(report["kept"].get<bool>());
  EXPECT_GE(report["misses"].size(), 1u);
  EXPECT_TRUE(fs::exists(fs::path(folder()) / "nearest.gguf"));
  EXPECT_FALSE(fs::exists(fs::path(folder()) / "model.gguf"));
}

TEST_F(CompressVerb, AnEncoderFromTextsToAKeptBudget) {
  runtime::write_tiny_bert(dir_ / "bert");
  std::string text, pairs;
  for (int i = 0; i < 400; ++i) {
    text += "The cat " + std::to_string(i * i) + " sat in Paris " + std::to_string(i) + "\n";
    pairs += "The cat " + std::to_string(i) + "\tThe cat " + std::to_string(i + i % 7) + "\t" +
             std::to_string(7 - i % 7) + "\n";
  }
  ASSERT_TRUE(write_file_atomic(dir_ / "lines.txt", text).ok());
  ASSERT_TRUE(write_file_atomic(dir_ / "pairs.tsv", pairs).ok());
  const std::vector<std::string> arguments{"compress",   dir_ / "bert",
                                           "-o",         folder(),
                                           "--types",    "Q4_0,Q5_0,Q8_0",
                                           "--batch",    "8",
                                           "--text",     dir_ / "lines.txt",
                                           "--pairs",    dir_ / "pairs.tsv",
                                           "--near",     "5",
                                           "--tries",    "2",
                                           "--max-loss", "cosine:2%,spearman:50%",
                                           "--max-size", "70%"};
  const Outcome done = run(arguments);
  ASSERT_EQ(done.code, kOk) << done.err << done.out;
  EXPECT_NE(done.out.find("passes (budget spearman:50%)"), std::string::npos) << done.out;
  const Json report = Json::parse(*read_file(fs::path(folder()) / "report.json"));
  EXPECT_TRUE(report["kept"].get<bool>());
  EXPECT_EQ(report["loss"].get<std::string>(), "distance of vectors, 1 - cosine");
  EXPECT_EQ(report["sets"]["final"]["texts"].get<int>(), 180);
  EXPECT_TRUE(report["final"]["metrics"].contains("spearman"));
  EXPECT_EQ(run({"verify", folder() + "/model.gguf"}).code, kOk);
  // What reproduce.sh says, in this program.
  const std::string script = *read_file(fs::path(folder()) / "reproduce.sh");
  EXPECT_NE(script.find("--calibration calibration.txt"), std::string::npos) << script;
  const size_t type = script.find("--type ") + 7;
  const auto before = fs::current_path();
  fs::current_path(folder());
  const Outcome again =
      run({"quantize", dir_ / "bert", "-o", "again.gguf", "--type", script.substr(type, script.find(' ', type) - type),
           "--pure", "--tensor-types", "types.txt", "--calibration", "calibration.txt"});
  fs::current_path(before);
  ASSERT_EQ(again.code, kOk) << again.err;
  EXPECT_EQ(*read_file(fs::path(folder()) / "again.gguf"), *read_file(fs::path(folder()) / "model.gguf"));
  // Budgets of the other kind.
  const Outcome wrong =
      run({"compress", dir_ / "bert", "-o", folder(), "--text", dir_ / "lines.txt", "--max-loss", "ppl:1%"});
  EXPECT_EQ(wrong.code, kFailed);
  EXPECT_NE(wrong.err.find("is not measured of an encoder"), std::string::npos) << wrong.err;
  const Outcome decoder = compress({"--max-loss", "overlap:1%"});
  EXPECT_EQ(decoder.code, kFailed);
  EXPECT_NE(decoder.err.find("is not measured of a decoder"), std::string::npos) << decoder.err;
}

TEST_F(CompressVerb, WrongUsage) {
  for (const auto& [flags, words] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{}, "there is no budget to keep"},
           {{"--max-loss", "wer:1%"}, "is not measured here"},
           {{"--max-loss", "accuracy:1%"}, "give them (--choices"},
           {{"--max-loss", "evaluate:1%"}, "give what tells it (--evaluate)"},
           {{"--max-loss", "1%", "--evaluate", "true", "--evaluate-timeout", "5"}, "--evaluate-timeout"},
           {{"--max-loss", "1%", "--evaluate-lower"}, "goes with --evaluate"},
           {{"--max-loss", "many"}, "--max-loss"},
           {{"--min-speed", "fast"}, "is not a factor of speed"},
           {{"--max-size", "small"}, "is not a size"},
           {{"--max-ttft", "5"}, "is not a time with its unit"},
           {{"--max-loss", "1%", "--types", "Q9_9"}, "is no type of weights"},
           {{"--max-loss", "1%", "--time-budget", "soon"}, "--time-budget"}}) {
    const Outcome wrong = compress(flags);
    EXPECT_EQ(wrong.code, kUsage) << words;
    EXPECT_NE(wrong.err.find(words), std::string::npos) << wrong.err;
    EXPECT_FALSE(fs::exists(folder()));
  }
}

TEST_F(CompressVerb, AFigureOfACommandIsJudgedAsItWasPrinted) {
  const std::string log = dir_ / "log.txt";
  const std::string command = "echo {} >> " + log + "; echo size is $(stat -c %s \"$MIAO_MODEL\")";
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--evaluate", command, "--max-loss", "evaluate:1%", "--tries", "1"});
    return compress(more);
  };
  const Outcome smaller = with({"--evaluate-lower"});
  ASSERT_EQ(smaller.code, kOk) << smaller.err << smaller.out;
  EXPECT_NE(smaller.out.find("as it was printed; no bound"), std::string::npos) << smaller.out;
  const Json report = Json::parse(*read_file(fs::path(folder()) / "report.json"));
  EXPECT_EQ(report["evaluate"], command);
  const Json metrics = report["final"]["metrics"];
  EXPECT_EQ(metrics["base_evaluate"]["value"], fs::file_size(model()));
  EXPECT_EQ(metrics["evaluate"]["value"], fs::file_size(fs::path(folder()) / "model.gguf"));
  EXPECT_NE(read_file(fs::path(folder()) / "report.html")->find("candidates were chosen on it"), std::string::npos);

  const Outcome fallen = with({});
  EXPECT_EQ(fallen.code, kUnmet) << fallen.err;
  EXPECT_NE(fallen.out.find("MISSED    evaluate:1%"), std::string::npos) << fallen.out;
  const std::string calls = get("log.txt");  // of the base once, though there were two runs
  EXPECT_EQ(calls.find(model()), calls.rfind(model())) << calls;
}

TEST_F(CompressVerb, ACommandThatFailsEndsTheSearchAndLeavesWhatWasBuilt) {
  const auto failing = [&](const std::string& command, const std::string& words) {
    const Outcome wrong = compress({"--max-loss", "evaluate:1%", "--evaluate", command, "--evaluate-timeout", "500ms"});
    EXPECT_EQ(wrong.code, kFailed) << wrong.err;
    EXPECT_NE(wrong.err.find(words), std::string::npos) << wrong.err;
    if (words.find("share") == std::string::npos)
      EXPECT_NE(wrong.err.find(command.substr(0, 5)), std::string::npos) << wrong.err;
  };
  failing("echo oops >&2; exit 3 #", "ended with exit status 3; its standard error ends with: oops");
  failing("kill -9 $$ #", "was killed by signal 9");
  failing("sleep 50 #", "took longer than 0.5 s");
  failing("echo nan #", "by which nothing can be judged");
  failing("echo 0 #", "is 0, of which nothing is a share");
  failing("case {} in *model.gguf) echo 1;; *) exit 9;; esac #", "what was built stays in");
  int built = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(folder()) / ".miao-compress"))
    built += entry.path().extension() == ".gguf";
  EXPECT_EQ(built, 1);
}

TEST_F(CompressVerb, AnInterruptEndsTheCommandToo) {
  put("stdin", "");
  const pid_t pid = start({"compress", model(), "-o", folder(), "--text", dir_ / "text.txt", "--max-loss",
                           "evaluate:1%", "--evaluate", "echo $$ > " + (dir_ / "pid").string() + "; sleep 100 #"},
                          dir_ / "stdin", dir_ / "stdout");
  for (int i = 0; i < 3000 && !get("pid").ends_with('\n'); ++i) ::usleep(10'000);
  const std::string command = get("pid");
  ASSERT_FALSE(command.empty());
  ::kill(pid, SIGINT);
  EXPECT_EQ(wait(pid), kInterrupted);
  EXPECT_NE(::kill(std::stoi(command), 0), 0);
}

TEST_F(CompressVerb, AccuracyOfQuestions) {
  std::string questions;
  for (int i = 0; i < 100; ++i)
    questions += R"({"question": "is )" + std::to_string(i) + R"( odd?", "choices": ["yes", "no"], "answer": )" +
                 std::to_string(1 - i % 2) + "}\n";
  ASSERT_TRUE(write_file_atomic(dir_ / "questions.jsonl", questions).ok());
  const auto with = [&](const std::string& budget) {
    return compress({"--choices", dir_ / "questions.jsonl", "--max-loss", budget, "--tries", "1"});
  };
  const Outcome done = with("accuracy:90%");
  ASSERT_EQ(done.code, kOk) << done.err << done.out;
  EXPECT_NE(done.out.find("passes (budget accuracy:90%)"), std::string::npos) << done.out;
  const Json report = Json::parse(*read_file(fs::path(folder()) / "report.json"));
  EXPECT_EQ(report["questions"]["verification"], 40);
  EXPECT_EQ(report["questions"]["final"], 60);
  EXPECT_TRUE(report["final"]["metrics"].contains("base_accuracy"));
  EXPECT_TRUE(report["final"]["metrics"].contains("ppl"));
  const Outcome few = with("accuracy:0.1%");
  EXPECT_EQ(few.code, kUnmet) << few.out;
  ASSERT_TRUE(write_file_atomic(dir_ / "questions.jsonl", "{}\n").ok());
  const Outcome wrong = with("accuracy:1%");
  EXPECT_EQ(wrong.code, kFailed);
  EXPECT_NE(wrong.err.find("questions.jsonl"), std::string::npos) << wrong.err;
}

TEST_F(CompressVerb, BadTextsAndStores) {
  ASSERT_TRUE(write_file_atomic(dir_ / "empty.txt", "").ok());
  ASSERT_TRUE(write_file_atomic(dir_ / "binary.txt", std::string("\xff\xfe\x00\x01", 4)).ok());
  ASSERT_TRUE(write_file_atomic(dir_ / "short.txt", "the cat").ok());
  for (const char* name : {"empty.txt", "binary.txt", "short.txt", "none.txt"}) {
    const Outcome wrong = run({"compress", model(), "-o", folder(), "--max-loss", "1%", "--text", dir_ / name});
    EXPECT_EQ(wrong.code, kFailed) << name;
    EXPECT_NE(wrong.err.find(name), std::string::npos) << wrong.err;
  }
  // A store that is none costs a warning, not the work, and a new one takes its place.
  fs::create_directories(dir_ / "cache");
  ASSERT_TRUE(write_file_atomic(dir_ / "cache" / "measurements.sqlite", std::string(5000, 'x')).ok());
  const Outcome done = compress({"--max-loss", "kld:0.5", "--tries", "1"});
  EXPECT_EQ(done.code, kOk) << done.err;
  EXPECT_NE(done.err.find("is set aside as measurements.sqlite.damaged"), std::string::npos) << done.err;
  EXPECT_TRUE(fs::exists(dir_ / "cache" / "measurements.sqlite.damaged"));
  EXPECT_GT(compress::Measurements::open(dir_ / "cache" / "measurements.sqlite")->size(), 3);

  EXPECT_NE(run({"ls"}).err.find("miao rm --measurements deletes them"), std::string::npos);
  EXPECT_EQ(run({"rm", "--measurements", "--yes"}).code, kOk);
  EXPECT_FALSE(fs::exists(dir_ / "cache" / "measurements.sqlite"));
  EXPECT_FALSE(fs::exists(dir_ / "cache" / "measurements.sqlite.damaged"));
  EXPECT_TRUE(fs::is_empty(dir_ / "cache" / "importance"));
}

}  // namespace
}  // namespace miao::cli
