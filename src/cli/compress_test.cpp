// miao compress as a user meets it, on a tiny model.
#include "base/json.h"
#include "cli/testing.h"
#include "compress/measurements.h"

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
  const size_t type = script.find("--type ") + 7;
  const std::string mix = script.substr(type, script.find(' ', type) - type);
  const auto before = fs::current_path();
  fs::current_path(folder());
  const Outcome again = run({"quantize", model(), "-o", "again.gguf", "--type", mix, "--pure", "--tensor-types",
                             "types.txt", "--calibration", "calibration.txt"});
  fs::current_path(before);
  ASSERT_EQ(again.code, kOk) << again.err;
  EXPECT_EQ(*read_file(fs::path(folder()) / "again.gguf"), *read_file(fs::path(folder()) / "model.gguf"));
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

TEST_F(CompressVerb, WrongUsage) {
  for (const auto& [flags, words] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{}, "there is no budget to keep"},
           {{"--max-loss", "wer:1%"}, "is not measured on a text"},
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
