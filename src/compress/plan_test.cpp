#include "compress/plan.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "compress/quantize.h"
#include "io/testing.h"
#include "models/testing.h"
#include "runtime/testing.h"

namespace miao::compress {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";

class PlanOf : public testing::Test {
 protected:
  PlanOf() {
    const models::TinyModel tiny{.dim = 256, .ffn = 512};
    EXPECT_TRUE(tiny.gguf().write(dir_ / "m.gguf").ok());
    options_.engine.threads = 2;
    options_.engine.ctx = 256;
    options_.prompt = 8;
    options_.gen = 4;
    options_.speed = false;
  }
  static io::Checkpoint open(const fs::path& path) {
    auto model = io::Checkpoint::open(path);
    EXPECT_TRUE(model.ok()) << model.error().str();
    return std::move(*model);
  }
  Plan plan(const fs::path& path) const {
    auto out = make_plan(open(path), options_);
    EXPECT_TRUE(out.ok()) << out.error().str();
    return out.ok() ? std::move(*out) : Plan{};
  }
  Plan plan() const { return plan(dir_ / "m.gguf"); }

  const io::TempDir dir_;
  PlanOptions options_;
};

TEST_F(PlanOf, TheModelAsItIs) {
  const Plan p = plan();
  const io::Checkpoint model = open(dir_ / "m.gguf");
  EXPECT_EQ(p.architecture, "gguf:llama");
  EXPECT_EQ(p.name, "tiny");
  EXPECT_EQ(p.layers, 2);
  EXPECT_EQ(p.ctx, 256);
  EXPECT_EQ(p.kv, std::string("F32"));
  EXPECT_EQ(p.model.bytes, model.bytes());
  EXPECT_EQ(p.model.bits, 32);
  ASSERT_EQ(p.types.size(), 1u);
  EXPECT_EQ(p.types[0].parameters, p.parameters);
  EXPECT_FALSE(p.quantised);
  EXPECT_TRUE(p.model.fits);
  EXPECT_EQ(p.model.memory.kv, 256 * p.kv_per_token);
  const auto engine = runtime::Engine::open(dir_ / "m.gguf", options_.engine);
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ(p.model.memory.weights, (*engine)->memory().weights);
  EXPECT_FALSE(p.model.speed.has_value());
}

// The types, the bytes and the packed weights of a plan are those of the file that quantize() then writes.
TEST_F(PlanOf, OtherTypesAreWhatQuantizeWrites) {
  options_.others = {"Q8_0", "Q4_K_M", "IQ4_XS", "F16"};
  const Plan p = plan();
  ASSERT_EQ(p.others.size(), 4u);
  for (const PlanRow& row : p.others) {
    QuantizeOptions how{.recipe = *Recipe::named(row.type),
                        .choice = {},
                        .calibration = {},
                        .canary = false,
                        .writer = "test",
                        .calibrated_on = {},
                        .progress = {}};
    ASSERT_TRUE(quantize(open(dir_ / "m.gguf"), dir_ / "q.gguf", how).ok());
    EXPECT_EQ(row.bytes, open(dir_ / "q.gguf").bytes()) << row.type;
    const auto engine = runtime::Engine::open(dir_ / "q.gguf", options_.engine);
    ASSERT_TRUE(engine.ok());
    EXPECT_EQ(row.memory.weights, (*engine)->memory().weights) << row.type;
    EXPECT_LT(row.bytes, p.model.bytes);
    options_.type = how.recipe;
    const Plan as = plan();
    EXPECT_EQ(as.model.type, row.type);
    EXPECT_EQ(as.model.bytes, row.bytes);
    EXPECT_EQ(as.model.memory.weights, row.memory.weights);
    options_.type.reset();
  }
}

TEST_F(PlanOf, AHuggingFaceModelInOtherTypes) {
  options_.others = {"Q8_0"};
  options_.engine.ctx = 0;
  for (const char* name : {"models/llama", "models/gemma3", "models/llama-llama3", "encoders/bert", "seq2seq/t5"}) {
    const Plan p = plan(kGolden / name);
    ASSERT_EQ(p.others.size(), 1u) << name;
    EXPECT_EQ(p.others[0].problem, "") << name;
    EXPECT_GT(p.others[0].bytes, 0u) << name;
  }
  const Plan tokens = plan(kGolden / "encoders/bert-tokens");  // a head that GGUF has not
  EXPECT_EQ(tokens.others[0].bytes, 0u);
  EXPECT_NE(tokens.others[0].problem.find("GGUF has no head"), std::string::npos);
}

TEST_F(PlanOf, WhatFits) {
  options_.users = 3;
  const Plan p = plan();
  const int64_t peak = p.model.memory.peak(), text = p.model.memory.kv / 3, loading = p.model.memory.loading;
  options_.free = static_cast<uint64_t>(peak + (int64_t{4} << 20));  // the program differs by a bit from run to run
  EXPECT_TRUE(plan().model.fits);
  options_.free = static_cast<uint64_t>(peak - p.model.memory.program / 2);
  const Plan less = plan();
  EXPECT_FALSE(less.model.fits);
  EXPECT_EQ(*less.most_users, 0);
  EXPECT_EQ(*less.most_ctx, 0);
  options_.free = static_cast<uint64_t>(peak + (int64_t{4} << 20) + 100 * text);
  const Plan more = plan();
  EXPECT_GE(*more.most_users, 100);
  EXPECT_LT(*more.most_users, 103 + (loading + (int64_t{8} << 20)) / text);
  EXPECT_EQ(*more.most_ctx, 512);  // that the model was made for
}

TEST_F(PlanOf, Encoders) {
  options_.engine.ctx = 0;
  const Plan p = plan(kGolden / "encoders/bert");
  EXPECT_EQ(p.shape, models::ModelSpec::Shape::encoder);
  EXPECT_GT(p.model.memory.embedding, 0);
  EXPECT_EQ(p.model.memory.kv, 0);
  EXPECT_FALSE(p.most_users.has_value());
}

TEST_F(PlanOf, SpeedsAreMeasured) {
  options_.speed = true;
  options_.timing = {.seconds = 0.01, .least_bytes = 1};
  options_.others = {"Q8_0"};
  std::vector<std::string> said;
  options_.progress = [&](std::string_view what) { said.emplace_back(what); };
  const Plan p = plan();
  ASSERT_TRUE(p.model.speed.has_value()) << p.model.problem;
  EXPECT_GT(decode_rate(*p.model.speed, p.use), 0);
  EXPECT_GT(decode_rate(*p.others[0].speed, p.use), 0);
  EXPECT_EQ(said, (std::vector<std::string>{"the model", "Q8_0"}));
  options_.engine.ctx = 0;
  const Plan t5 = plan(kGolden / "seq2seq/t5");
  EXPECT_FALSE(t5.model.speed.has_value());
  EXPECT_NE(t5.model.problem.find("encoder-decoders"), std::string::npos);
}

TEST_F(PlanOf, WhatIsLeftOpenIsWhatTheContextHolds) {
  options_.prompt = options_.gen = std::nullopt;
  EXPECT_EQ(plan().use.prompt, 192);
  EXPECT_EQ(plan().use.gen, 64);
  options_.prompt = 250;
  EXPECT_EQ(plan().use.gen, 6);
  options_.prompt.reset();
  options_.gen = 250;
  EXPECT_EQ(plan().use.prompt, 6);
  options_.engine.ctx = 0;
  options_.gen.reset();
  EXPECT_EQ(plan(kGolden / "encoders/bert").use.prompt, std::min<int64_t>(128, plan(kGolden / "encoders/bert").ctx));
}

TEST_F(PlanOf, AUseThatTheContextDoesNotHold) {
  options_.prompt = 253;
  const auto wrong = make_plan(open(dir_ / "m.gguf"), options_);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::invalid);
  EXPECT_NE(wrong.error().message.find("257 positions"), std::string::npos);
}

}  // namespace
}  // namespace miao::compress
