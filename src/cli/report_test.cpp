// miao report on what miao compress wrote for a tiny model.
#include "base/json.h"
#include "cli/testing.h"
#include "runtime/encoder_testing.h"

namespace miao::cli {
namespace {

class ReportVerb : public Cli {
 protected:
  ReportVerb() {
    EXPECT_TRUE(runtime::talking_model().write(dir_ / "model.gguf").ok());
    std::string text;
    for (int i = 0; i < 2500; ++i)
      text += "the cat number " + std::to_string(i * i) + " sat on mat " + std::to_string(i) + "\n";
    EXPECT_TRUE(write_file_atomic(dir_ / "text.txt", text).ok());
    EXPECT_EQ(setenv("MIAO_CACHE", (dir_ / "cache").c_str(), 1), 0);
  }
  ~ReportVerb() override { unsetenv("MIAO_CACHE"); }

  std::string search(const std::string& name, std::vector<std::string> flags) {
    std::vector<std::string> arguments{
        "compress", dir_ / "model.gguf", "-o",     dir_ / name,      "--prompt", "32", "--gen", "8",
        "--types",  "Q4_0,Q5_0,Q8_0",    "--text", dir_ / "text.txt"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Outcome done = run(arguments);
    EXPECT_TRUE(done.code == kOk || done.code == kUnmet) << done.err;
    return dir_ / name;
  }
  void change(const std::string& folder, const std::function<void(Json&)>& how) {
    const fs::path file = fs::path(folder) / "report.json";
    Json json = Json::parse(*read_file(file));
    how(json);
    EXPECT_TRUE(write_file_atomic(file, json.dump()).ok());
  }
};

TEST_F(ReportVerb, SearchesSideBySide) {
  const std::string near = search("near", {"--max-loss", "kld:0.5"});
  const std::string far = search("far", {"--max-loss", "kld:0.000001", "--max-size", "10%", "--tries", "1"});
  const std::string page = dir_ / "page.html";
  const Outcome text = run({"report", near, far + "/report.json", "-o", page});
  ASSERT_EQ(text.code, kOk) << text.err;
  for (const char* words : {"near", "far", "kept", "missed", "far: kld:1e-06 is", "kld_mean"})
    EXPECT_NE(text.out.find(words), std::string::npos) << words << "\n" << text.out;
  EXPECT_EQ(text.out.find("not comparable"), std::string::npos) << text.out;
  const std::string html = *read_file(page);
  for (const char* words : {"2 searches side by side", "Loss against size", "Loss against speed", "near, candidates"})
    EXPECT_NE(html.find(words), std::string::npos) << words;

  const Json json = Json::parse(run({"report", near, far, "--json"}).out);
  const Json search = Json::parse(*read_file(fs::path(near) / "report.json"));
  ASSERT_EQ(json["searches"].size(), 2u);
  const Json& one = json["searches"][0];
  EXPECT_EQ(one["name"], "near");
  EXPECT_TRUE(one["kept"].get<bool>());
  EXPECT_EQ(one["metrics"]["kld_mean"]["value"], search["final"]["metrics"]["kld_mean"]["value"]);
  EXPECT_EQ(one["own"]["bytes"], static_cast<double>(fs::file_size(fs::path(near) / "model.gguf")));
  EXPECT_FALSE(json["searches"][1]["kept"].get<bool>());
  EXPECT_EQ(json["searches"][1]["budgets"], Json({"kld:1e-06", "file 10 %"}));
}

TEST_F(ReportVerb, WhatIsWorseInEveryRespectAndWhatCannotBeCompared) {
  const std::string one = search("one", {"--max-loss", "kld:0.5"});
  fs::copy(one, dir_ / "two", fs::copy_options::recursive);
  const std::string two = dir_ / "two";
  change(two, [](Json& json) { json["final"]["metrics"]["kld_mean"]["value"] = 2.0; });
  const Json both = Json::parse(run({"report", one, two, "--json"}).out);
  EXPECT_EQ(both["searches"][1]["dominated_by"], "one");
  EXPECT_FALSE(both["searches"][0].contains("dominated_by"));
  EXPECT_TRUE(both["differences"].empty());

  change(two, [](Json& json) {
    json["sha256"] = "another";
    json["request"]["gen"] = 9;
  });
  const Json other = Json::parse(run({"report", one, two, "--json"}).out);
  EXPECT_EQ(other["differences"].size(), 2u) << other;
  EXPECT_FALSE(other["searches"][1].contains("dominated_by")) << "of another base";
}

TEST_F(ReportVerb, AnEncoder) {
  runtime::write_tiny_bert(dir_ / "bert");
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "The cat " + std::to_string(i * i) + " sat in Paris " + std::to_string(i) + "\n";
  ASSERT_TRUE(write_file_atomic(dir_ / "lines.txt", text).ok());
  const Outcome done = run({"compress", dir_ / "bert", "-o", dir_ / "small", "--max-loss", "cosine:5%", "--text",
                            dir_ / "lines.txt", "--types", "Q4_0,Q8_0", "--tries", "1", "--batch", "4"});
  ASSERT_TRUE(done.code == kOk || done.code == kUnmet) << done.err;
  const Outcome report = run({"report", dir_ / "small"});
  ASSERT_EQ(report.code, kOk) << report.err;
  EXPECT_NE(report.out.find("small"), std::string::npos);
}

TEST_F(ReportVerb, BadInputEndsClearly) {
  const std::string folder = search("small", {"--max-loss", "kld:0.5", "--tries", "1"});
  fs::create_directories(dir_ / "empty");
  ASSERT_TRUE(write_file_atomic(dir_ / "text.json", "[1, 2]").ok());
  ASSERT_TRUE(write_file_atomic(dir_ / "broken.json", "{\"schema\": ").ok());
  const auto fails = [&](const std::string& path, const std::string& words, int code = kFailed) {
    const Outcome o = run({"report", path});
    EXPECT_EQ(o.code, code) << path;
    EXPECT_NE(o.err.find(words), std::string::npos) << path << ": " << o.err;
  };
  fails(dir_ / "empty", "report.json");
  fails(dir_ / "text.json", "is not what this version of miao compress reports");
  fails(dir_ / "broken.json", "broken.json");
  fails(dir_ / "absent", "absent", kUsage);
  for (const char* gone : {"sha256", "request", "candidates", "told", "final", "front_size"}) {
    const std::string whole = *read_file(fs::path(folder) / "report.json");
    change(folder, [&](Json& json) { json[gone] = 7; });
    fails(folder, gone == std::string("request") ? "/request" : gone);
    ASSERT_TRUE(write_file_atomic(fs::path(folder) / "report.json", whole).ok());
  }
  change(folder, [](Json& json) { json["schema"] = 99; });
  fails(folder, "/schema is 99");
}

}  // namespace
}  // namespace miao::cli
