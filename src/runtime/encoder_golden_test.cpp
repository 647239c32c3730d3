// Encoders against transformers in FP32 on tiny random models, for every model of tests/golden/encoders, with the
// kernels of every instruction set of this processor; and inputs in one batch against inputs one by one.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "io/npy.h"
#include "io/testing.h"
#include "kernels/kernels.h"
#include "models/spec.h"
#include "runtime/encoder.h"
#include "runtime/test_golden.h"

namespace miao::runtime {
namespace {

const std::filesystem::path kModels = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/encoders";

struct Inputs {
  explicit Inputs(const Json& list) {
    for (const Json& input : list) {
      ids.push_back(input["ids"].get<std::vector<int32_t>>());
      types.push_back(input["types"].get<std::vector<int32_t>>());
    }
    for (size_t i = 0; i < ids.size(); ++i) all.push_back({ids[i], types[i]});
  }
  std::vector<std::vector<int32_t>> ids, types;
  std::vector<EncoderInput> all;
};

// All rows, one input below the other.
std::vector<float> rows_of(const Encoded& encoded, size_t inputs) {
  std::vector<float> out;
  for (size_t i = 0; i < inputs; ++i) {
    for (int64_t r = 0; r < encoded.rows(i); ++r) {
      const auto row = encoded.row(i, r);
      out.insert(out.end(), row.begin(), row.end());
    }
  }
  return out;
}

void check(const std::filesystem::path& model, const Json& c, const std::string& isa,
           Compute compute = Compute::automatic) {
  EncoderOptions options{.threads = 2, .compute = compute, .batch = 64, .isa = isa};
  if (c["architecture"].get<std::string>().ends_with("Model")) options.rows = models::Rows::tokens;
  auto encoder = Encoder::open(model, options);
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  const models::HeadSpec& head = (*encoder)->spec().head;
  if (head.task == models::HeadSpec::Task::sequence) {
    EXPECT_EQ(head.labels, (std::vector<std::string>{"BAD", "FINE", "GOOD"}));
  }
  const Inputs inputs(c["inputs"]);
  auto encoded = (*encoder)->run(inputs.all);
  ASSERT_TRUE(encoded.ok()) << encoded.error().str();
  const std::vector<float> got = rows_of(*encoded, inputs.all.size());
  auto golden = io::read_npy(kModels / c["name"].get<std::string>() / "out.npy");
  ASSERT_TRUE(golden.ok()) << golden.error().str();
  ASSERT_EQ(golden->cols, encoded->cols());
  ASSERT_EQ(static_cast<size_t>(golden->rows * golden->cols), got.size());
  Difference difference;
  const auto cols = static_cast<size_t>(golden->cols);
  for (int64_t r = 0; r < golden->rows; ++r)
    difference.add(golden->row(r), std::span(got).subspan(static_cast<size_t>(r) * cols, cols));
  expect_close(c, model, difference, compute == Compute::automatic);

  std::vector<float> alone;
  for (const EncoderInput& input : inputs.all) {
    auto one = (*encoder)->run({&input, 1});
    ASSERT_TRUE(one.ok()) << one.error().str();
    const std::vector<float> rows = rows_of(*one, 1);
    alone.insert(alone.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(alone, got) << "neighbours change a result";
}

TEST(EncoderGolden, OutputsOfTransformers) {
  const Json cases = golden_manifest(kModels)["cases"];
  ASSERT_GE(cases.size(), 32u);
  const kernels::Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  const int count = kernels::available(cpu_features(), tables);
  for (const Json& c : cases) {
    const auto name = c["name"].get<std::string>();
    for (int i = 0; i < count; ++i) {
      SCOPED_TRACE(name + " " + tables[i]->name);
      check(kModels / name, c, tables[i]->name);
      if (i == count - 1) check(kModels / name, c, tables[i]->name, Compute::bf16x3);
      if (c["gguf"].get<bool>()) check(kModels / name / "model.gguf", c, tables[i]->name);
    }
  }
}

// Nomic BERT as its own code writes the configuration is what transformers makes of it; its other switches are errors.
TEST(EncoderGolden, NomicBertOfTheHub) {
  io::TempDir dir;
  std::filesystem::copy(kModels / "nomicbert/model.safetensors", dir / "model.safetensors");
  const std::string config =
      R"({"architectures": ["NomicBertModel"], "n_embd": 48, "n_layer": 2, "n_head": 3, "n_inner": 80, "n_positions": 64,
          "layer_norm_epsilon": 1e-5, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_scaling_factor": null,
          "activation_function": "swiglu", "type_vocab_size": 2, "vocab_size": 131, "prenorm": false)";
  const auto open = [&](const std::string& more) {
    EXPECT_TRUE(write_file_atomic(dir / "config.json", config + more + "}").ok());
    return Encoder::open(std::filesystem::path(dir / "model.safetensors").parent_path(),
                         {.rows = models::Rows::tokens});
  };
  const auto run = [](Encoder& encoder) {
    const std::vector<int32_t> ids{5, 70, 3, 99, 12, 8};
    const EncoderInput input{ids, {}};
    auto encoded = encoder.run({&input, 1});
    EXPECT_TRUE(encoded.ok());
    return rows_of(*encoded, 1);
  };
  auto own = open(""), other = Encoder::open(kModels / "nomicbert", {.rows = models::Rows::tokens});
  ASSERT_TRUE(own.ok()) << own.error().str();
  EXPECT_EQ(run(**own), run(**other));
  for (const char* more :
       {R"(, "rotary_emb_interleaved": true)", R"(, "moe_every_n_layers": 2, "activation_function": "gelu")"}) {
    EXPECT_FALSE(open(more).ok()) << more;
  }
}

// BERT's classifier in a GGUF file has lost the layer in front of it: the rows are all there is.
TEST(EncoderGolden, AGgufClassifierWithoutItsDenseLayerIsNone) {
  auto encoder = Encoder::open(kModels / "roberta-sequence" / "model.gguf");
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  EXPECT_EQ((*encoder)->spec().head.task, models::HeadSpec::Task::sequence);
  io::TempDir dir;
  std::string bytes = *read_file(kModels / "roberta-sequence" / "model.gguf");
  for (const char* name : {"cls.weight", "cls.bias"}) bytes[bytes.find(name)] = 'C';
  ASSERT_TRUE(write_file_atomic(dir / "model.gguf", bytes).ok());
  encoder = Encoder::open(dir / "model.gguf");
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  EXPECT_EQ((*encoder)->spec().head.task, models::HeadSpec::Task::embedding);
}

// Int8: near FP32, the same bits on every instruction set, and neighbours change nothing.
TEST(EncoderGolden, Int8) {
  const kernels::Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  const int count = kernels::available(cpu_features(), tables);
  const Json cases = golden_manifest(kModels)["cases"];
  for (const Json& c : cases) {
    const auto name = c["name"].get<std::string>();
    SCOPED_TRACE(name);
    const Inputs inputs(c["inputs"]);
    const auto run = [&](Compute compute, const char* isa, size_t first, size_t n) {
      auto encoder = Encoder::open(kModels / name, {.threads = 2, .compute = compute, .batch = 64, .isa = isa});
      EXPECT_TRUE(encoder.ok()) << encoder.error().str();
      auto encoded = (*encoder)->run(std::span(inputs.all).subspan(first, n));
      EXPECT_TRUE(encoded.ok());
      return rows_of(*encoded, n);
    };
    const size_t n = inputs.all.size();
    const std::vector<float> exact = run(Compute::automatic, "", 0, n), got = run(Compute::int8, tables[0]->name, 0, n);
    double error = 0, size = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += std::pow(double{got[i]} - double{exact[i]}, 2);
      size += std::pow(double{exact[i]}, 2);
    }
    EXPECT_LT(error, 0.02 * size);
    EXPECT_GT(error, 0);
    for (int i = 1; i < count; ++i) EXPECT_EQ(run(Compute::int8, tables[i]->name, 0, n), got) << tables[i]->name;
    std::vector<float> alone;
    for (size_t i = 0; i < n; ++i) {
      const std::vector<float> rows = run(Compute::int8, "", i, 1);
      alone.insert(alone.end(), rows.begin(), rows.end());
    }
    EXPECT_EQ(alone, got);
  }
}

TEST(Encoder, LabelsAndTasks) {
  auto encoder = Encoder::open(kModels / "bert-sequence");
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  EXPECT_EQ((*encoder)->spec().head.task, models::HeadSpec::Task::sequence);
  EXPECT_EQ((*encoder)->spec().head.labels, (std::vector<std::string>{"BAD", "FINE", "GOOD"}));
}

// What is wrong with one input names it, and changes nothing for the next run.
TEST(Encoder, BadInputs) {
  auto encoder = Encoder::open(kModels / "bert");
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  const std::vector<int32_t> good{1, 2, 3}, negative{1, -1}, large{131}, longer(65, 3), types{0, 2, 0}, one_type{0};
  const auto expect = [&](EncoderInput bad, std::string_view words) {
    const EncoderInput inputs[] = {{good, {}}, bad};
    auto result = (*encoder)->run(inputs);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Code::invalid);
    EXPECT_NE(result.error().str().find(words), std::string::npos) << result.error().str();
    EXPECT_NE(result.error().str().find("input 2"), std::string::npos) << result.error().str();
  };
  expect({{}, {}}, "no tokens");
  expect({negative, {}}, "token id -1");
  expect({large, {}}, "token id 131");
  expect({longer, {}}, "65 tokens and the model reads 64");
  expect({good, types}, "type 2");
  expect({good, one_type}, "as many types");
  const EncoderInput fine{good, {}};
  EXPECT_TRUE((*encoder)->run({&fine, 1}).ok());
}

TEST(Encoder, ADecoderIsNamed) {
  auto encoder = Encoder::open(std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/models/llama");
  ASSERT_FALSE(encoder.ok());
  EXPECT_EQ(encoder.error().code, Code::unsupported);
  EXPECT_NE(encoder.error().message.find("is a decoder"), std::string::npos);
  auto engine = Engine::open(kModels / "bert");
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().code, Code::unsupported);
  EXPECT_NE(engine.error().message.find("is an encoder"), std::string::npos);
}

}  // namespace
}  // namespace miao::runtime
