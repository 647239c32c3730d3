// miao plan as a user meets it.
#include <set>

#include "base/json.h"
#include "cli/testing.h"

namespace miao::cli {
namespace {

class PlanVerb : public Cli {
 protected:
  PlanVerb() { EXPECT_TRUE(runtime::talking_model().write(model()).ok()); }
  std::string model() const { return dir_ / "model.gguf"; }
  Json json(std::vector<std::string> arguments, int code = kOk) {
    arguments.insert(arguments.begin(), {"plan", "--json"});
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    return outcome.out.empty() ? Json() : Json::parse(outcome.out);
  }
  void expect_error(std::vector<std::string> arguments, std::string_view words, int code) {
    arguments.insert(arguments.begin(), "plan");
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  static std::set<std::string> keys(const Json& object) {
    std::set<std::string> out;
    for (const auto& [key, value] : object.items()) out.insert(key);
    return out;
  }
};

TEST_F(PlanVerb, TellsWhatAModelNeeds) {
  const Outcome shown = run({"plan", model(), "--prompt", "20", "--gen", "10", "--types", "Q8_0,Q4_0"});
  ASSERT_EQ(shown.code, kOk) << shown.err;
  for (const char* words : {"gguf:llama, decoder: 2 layers", "at the peak", "keys and values", "Verdict       fits",
                            "tokens/s", "all blocks measured", "\nQ8_0 ", "\nQ4_0 ", "yes\n"}) {
    EXPECT_NE(shown.out.find(words), std::string::npos) << words << "\n" << shown.out;
  }
  EXPECT_FALSE(fs::exists(dir_ / "cache"));  // nothing is kept
}

TEST_F(PlanVerb, Json) {
  const Json plan = json({model(), "--prompt", "20", "--gen", "10", "--users", "2", "--types", "Q8_0"});
  EXPECT_EQ(keys(plan), (std::set<std::string>{"schema", "source", "name", "architecture", "shape", "parameters",
                                               "layers", "width", "vocab", "context", "types", "quantised", "use", "kv",
                                               "machine", "most_users", "most_ctx", "model", "others"}));
  EXPECT_EQ(plan["schema"], 1);
  EXPECT_EQ(plan["shape"], "decoder");
  EXPECT_EQ(plan["use"].dump(), R"({"ctx":512,"users":2,"prompt":20,"gen":10})");
  const Json& own = plan["model"];
  EXPECT_EQ(keys(own), (std::set<std::string>{"type", "bytes", "bits_per_parameter", "memory", "fits", "speed"}));
  EXPECT_TRUE(own["type"].is_null());
  EXPECT_TRUE(own["fits"].get<bool>());
  const auto part = [&](const char* name) { return own["memory"][name].get<int64_t>(); };
  const int64_t in_use = part("embedding") + part("buffers") + part("kv");
  EXPECT_EQ(part("peak"), part("weights") + part("program") + std::max(in_use, part("loading")));
  EXPECT_EQ(own["memory"]["kv"], 2 * 512 * plan["kv"]["bytes_per_token"].get<int64_t>());
  EXPECT_GT(own["speed"]["prefill_tok_s"].get<double>(), 0);
  EXPECT_GT(own["speed"]["decode_tok_s"].get<double>(), 0);
  EXPECT_EQ(own["speed"]["blocks_measured"], 2);
  ASSERT_EQ(plan["others"].size(), 1u);
  EXPECT_EQ(plan["others"][0]["type"], "Q8_0");
  EXPECT_TRUE(plan["others"][0]["speed"]["prefill_tok_s"].is_null());  // measured of the model alone
}

TEST_F(PlanVerb, WhatDoesNotFitIsExitCode3) {
  const Json plan = json({model(), "--memory", "1MB", "--no-speed", "--types", "none", "-c", "256"}, kUnmet);
  EXPECT_FALSE(plan["model"]["fits"].get<bool>());
  EXPECT_EQ(plan["most_users"], 0);
  EXPECT_EQ(plan["machine"]["memory_free"], 1000000);
  EXPECT_TRUE(plan["others"].empty());
  EXPECT_TRUE(plan["model"]["speed"].is_null());
  const Outcome text = run({"plan", model(), "--memory", "1MiB", "--no-speed"});
  EXPECT_EQ(text.code, kUnmet);
  EXPECT_NE(text.out.find("does not fit; no text of 512 positions would"), std::string::npos) << text.out;
  const Json users = json({model(), "--memory", "1.5GB", "--no-speed", "--users", "65536"}, kUnmet);
  EXPECT_GT(users["most_users"].get<int64_t>(), 100);
  EXPECT_LT(users["most_users"].get<int64_t>(), 65536);
}

TEST_F(PlanVerb, AsAnotherType) {
  const Json f32 = json({model(), "--no-speed", "--types", "Q8_0"});
  const Json q8 = json({model(), "--no-speed", "--types", "none", "--type", "q8_0"});
  EXPECT_EQ(q8["model"]["type"], "Q8_0");
  EXPECT_EQ(q8["model"]["bytes"], f32["others"][0]["bytes"]);
  ASSERT_EQ(run({"quantize", model(), "-o", dir_ / "q.gguf", "--type", "Q8_0"}).code, kOk);
  const Json real = json({dir_ / "q.gguf", "--no-speed", "--types", "Q4_0"});
  EXPECT_EQ(real["model"]["bytes"], q8["model"]["bytes"]);
  EXPECT_EQ(real["model"]["memory"]["weights"], q8["model"]["memory"]["weights"]);
  EXPECT_TRUE(real["quantised"].get<bool>());
}

TEST_F(PlanVerb, EncodersAndEncoderDecoders) {
  const fs::path golden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";
  const Json bert = json({golden / "encoders/bert", "--prompt", "12", "--users", "4", "--types", "Q8_0"});
  EXPECT_EQ(bert["shape"], "encoder");
  EXPECT_TRUE(bert["most_users"].is_null());
  EXPECT_GT(bert["model"]["speed"]["inputs_s"].get<double>(), 0);
  EXPECT_GT(bert["others"][0]["speed"]["prefill_tok_s"].get<double>(), 0);
  const Outcome text = run({"plan", golden / "encoders/bert", "--prompt", "12", "--types", "Q8_0"});
  EXPECT_NE(text.out.find("inputs/s of 12 tokens"), std::string::npos) << text.out;
  const Json t5 = json({golden / "seq2seq/t5", "--types", "none"});
  EXPECT_EQ(t5["shape"], "encoder-decoder");
  EXPECT_GT(t5["model"]["memory"]["kv"].get<int64_t>(), 0);
  EXPECT_NE(t5["model"]["problem"].get<std::string>().find("not forecast"), std::string::npos);
  const Outcome tokens = run({"plan", golden / "encoders/bert-tokens", "--prompt", "12", "--no-speed"});
  EXPECT_EQ(tokens.code, kOk) << tokens.err;
  EXPECT_NE(tokens.out.find("No other types: "), std::string::npos) << tokens.out;
}

TEST_F(PlanVerb, Misuse) {
  expect_error({model(), "--type", "Q9"}, "is no mix of types", kUsage);
  expect_error({model(), "--types", "Q8_0,Q9"}, "is no mix of types", kUsage);
  expect_error({model(), "--memory", "lots"}, "'lots' is not an amount of memory", kUsage);
  expect_error({model(), "--memory", "8X"}, "is not an amount of memory", kUsage);
  expect_error({model(), "--users", "0"}, "--users", kUsage);
  expect_error({model(), "--ctx", "64", "--prompt", "60", "--gen", "8"}, "68 positions are needed", kFailed);
  expect_error({dir_ / "absent.gguf"}, "no such file", kFailed);
  expect_error({"hf:org/absent"}, "is not in the cache", kFailed);
  expect_error({put("junk.gguf", "no model")}, "junk.gguf", kFailed);
  const std::string cut = get("model.gguf").substr(0, 2000);
  expect_error({put("cut.gguf", cut)}, "is incomplete", kFailed);
  expect_error({tokenizer()}, "tok", kFailed);  // no weights
}

}  // namespace
}  // namespace miao::cli
