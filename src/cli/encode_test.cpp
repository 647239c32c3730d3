// miao run on encoders, on the tiny models of tests/golden.
#include <algorithm>

#include "base/json.h"
#include "cli/testing.h"

namespace miao::cli {
namespace {

const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";

class Encode : public Cli {
 protected:
  // A copy of a model with the small tokenizer beside it.
  std::string copy(const fs::path& model) {
    const fs::path folder = dir_ / model.filename();
    fs::create_directories(folder);
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(kGolden / model / name, folder / name, fs::copy_options::overwrite_existing);
    fs::copy_file(kGolden / "tasks/tokenizer.json", folder / "tokenizer.json", fs::copy_options::overwrite_existing);
    return folder.string();
  }
  Json json(std::vector<std::string> arguments, int code = kOk) {
    arguments.push_back("--json");
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }
  void expect_error(const std::vector<std::string>& arguments, std::string_view words, int code) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  std::string longer() {
    std::string text;
    for (int i = 0; i < 70; ++i) text += "cat ";
    return text;
  }
};

TEST_F(Encode, Entities) {
  const std::string model = copy("tasks/entities");
  const Outcome shown = run({"run", model, "The cat sat in Paris."});
  ASSERT_EQ(shown.code, kOk) << shown.err;
  EXPECT_NE(shown.out.find("The [cat sat PER] [in LOC] [Paris PER]."), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("12-14"), std::string::npos) << shown.out;
  const Json found = json({"run", model, "The cat sat in Paris.", "\u00e9t\u00e9", longer(), "--aggregation", "max"});
  ASSERT_EQ(found["results"].size(), 3u);
  EXPECT_EQ(found["results"][0]["entities"][1]["text"].get<std::string>(), "in");
  EXPECT_EQ(found["results"][0]["entities"][1]["begin"].get<int>(), 12);
}

TEST_F(Encode, Answers) {
  const std::string model = copy("tasks/answers");
  const Json found = json({"run", model, "--question", "Who sat in Paris?", "The cat sat in Paris.", ""}, kFailed);
  EXPECT_EQ(found["results"][0]["answers"][0]["text"].get<std::string>(), "The cat");
  EXPECT_GT(found["results"][0]["no_answer"].get<double>(), 0.05);
  EXPECT_EQ(found["results"][1]["error"].get<std::string>(), "the text is empty");
  const Outcome piped = run({"run", model, "--question", "Who sat in Paris?", "-"}, "The cat\nsat in Paris.\n");
  ASSERT_EQ(piped.code, kOk) << piped.err;
  EXPECT_NE(piped.out.find("(no answer)"), std::string::npos) << piped.out;
  EXPECT_EQ(std::count(piped.out.begin(), piped.out.end(), '\n'), 5) << piped.out;
  expect_error({"run", model, "a text"}, "give --question", kFailed);
}

TEST_F(Encode, DocumentsInTheirOrder) {
  const std::string model = copy("tasks/rerank-1");
  const Json found =
      json({"run", model, "--query", "Who sat in Paris?", "the cat sat", longer(), "London is a big river"}, kFailed);
  ASSERT_EQ(found["results"].size(), 2u);
  EXPECT_GE(found["results"][0]["score"].get<double>(), found["results"][1]["score"].get<double>());
  EXPECT_EQ(found["errors"][0]["index"].get<int>(), 1);
  EXPECT_EQ(json({"run", model, "--query", "a", longer(), "b", "--truncate"})["results"].size(), 2u);
}

TEST_F(Encode, ABadTextLosesNoOther) {
  const std::string model = copy("tasks/rerank-2");
  const Json classes = json({"run", model, "a cat", longer(), "a river"}, kFailed);
  EXPECT_TRUE(classes["results"][0].contains("label"));
  EXPECT_NE(classes["results"][1]["error"].get<std::string>().find("the model reads 64"), std::string::npos);
  EXPECT_TRUE(classes["results"][2].contains("label"));
  const Json vectors = json({"run", model, "a cat", longer(), "a river", "--task", "embed"}, kFailed);
  EXPECT_EQ(vectors["embeddings"][2].size(), vectors["dim"].get<size_t>());
  EXPECT_TRUE(vectors["embeddings"][1].contains("error"));
}

TEST_F(Encode, WhatAClassRestsOn) {
  const std::string model = copy("tasks/rerank-2");
  const Outcome shown = run({"run", model, "--explain", "the cat <sat>"});
  ASSERT_EQ(shown.code, kOk) << shown.err;
  EXPECT_NE(shown.out.find("left out"), std::string::npos) << shown.out;
  const Json found = json({"run", model, "--explain", "the cat", "a river"});
  EXPECT_EQ(found["results"][1]["words"][1]["text"].get<std::string>(), "river");
  const std::string page = (dir_ / "page.html").string();
  const Outcome written = run({"run", model, "--explain=" + page, "the <b>cat</b> & \u4e2d"});
  ASSERT_EQ(written.code, kOk) << written.err;
  EXPECT_EQ(written.out, "");
  const std::string html = get("page.html");
  EXPECT_EQ(html.find("<b>"), std::string::npos);
  EXPECT_NE(html.find(">cat</span>"), std::string::npos) << html;
  EXPECT_NE(html.find("&amp;"), std::string::npos);
}

TEST_F(Encode, HeadsThatTheModelLacks) {
  const std::string entities = copy("tasks/entities"), plain = copy("encoders/bert"), classes = copy("tasks/rerank-2");
  expect_error({"run", entities, "--task", "classify", "a"},
               "no head for classes of texts; it has one for labels of words (--task entities), and gives vectors with "
               "--task embed",
               kFailed);
  expect_error({"run", classes, "--question", "a", "b"}, "no head for answers to questions", kFailed);
  expect_error({"run", plain, "--query", "a", "b"}, "it gives vectors alone", kFailed);
  expect_error({"run", classes, "--query", "a", "--task", "classify", "b"}, "--query is for", kFailed);
  expect_error({"run", entities, "--explain", "a"}, "no head for classes", kFailed);
}

TEST_F(Encode, FlagsOfTheOtherKindOfModel) {
  const std::string encoder = copy("tasks/rerank-2");
  const std::pair<std::vector<std::string>, const char*> flags[] = {
      {{"--top-k", "3"}, "--top-k"}, {{"--temp", "1"}, "--temp"}, {{"--system", "x"}, "--system"},
      {{"-n", "3"}, "--max-tokens"}, {{"--raw"}, "--raw"},        {{"--greedy"}, "--greedy"},
      {{"--kv", "f32"}, "--kv"},     {{"--stop", "x"}, "--stop"}, {{"--no-history"}, "--no-history"}};
  for (const auto& [flag, name] : flags) {
    std::vector<std::string> arguments{"run", encoder, "a"};
    arguments.insert(arguments.end(), flag.begin(), flag.end());
    expect_error(arguments, std::string(name) + ": means nothing to an encoder", kFailed);
  }
  EXPECT_EQ(run({"run", encoder, "a", "-t", "1", "-q"}).code, kOk);
  const std::string decoder = model();
  expect_error({"run", decoder, "a", "--question", "b"}, "--question: means nothing to a decoder", kFailed);
}

}  // namespace
}  // namespace miao::cli
