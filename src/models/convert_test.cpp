// Conversion to GGUF: the golden GGUF files, which llama.cpp's own tables of names wrote, are what must come out of the
// directories beside them.
#include "models/convert.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "io/testing.h"
#include "models/convert/parts.h"
#include "models/convert_testing.h"
#include "models/testing.h"

namespace miao::models {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";

std::vector<fs::path> folders(bool with_gguf) {
  std::vector<fs::path> out;
  for (const char* kind : {"models", "encoders", "seq2seq"}) {
    for (const auto& entry : fs::directory_iterator(kGolden / kind)) {
      if (entry.is_directory() && fs::exists(entry.path() / "model.gguf") == with_gguf) out.push_back(entry.path());
    }
  }
  return out;
}

std::vector<float> values_of(const TensorView& t) {
  std::vector<float> out(static_cast<size_t>(t.elements()));
  format(t.dtype).decode(t.data, out.data(), t.elements());
  return out;
}

Result<ModelSpec> spec_of(const io::Checkpoint& checkpoint, GgufForm* form) {
  MIAO_TRY(Source source, Source::open(checkpoint));
  MIAO_TRY(const Family* family, find_family(source));
  source.use(family->hf);
  *form = family->gguf;
  return family->spec(source);
}

// A copy of a golden directory with other fields in its config.json.
void patched(const fs::path& from, const fs::path& to, const Json& fields) {
  fs::copy_file(from / "model.safetensors", to / "model.safetensors", fs::copy_options::overwrite_existing);
  Json config = Json::parse(*read_file(from / "config.json"));
  for (const auto& [key, value] : fields.items()) config[key] = value;
  ASSERT_TRUE(write_file_atomic(to / "config.json", config.dump()).ok());
}

std::string error_of(const fs::path& model) {
  const auto checkpoint = io::Checkpoint::open(model);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().str();
  const auto converted = to_gguf(*checkpoint);
  if (converted.ok()) return "";
  EXPECT_EQ(converted.error().code, Code::unsupported);
  return converted.error().str();
}

class ToGguf : public testing::TestWithParam<fs::path> {};

TEST_P(ToGguf, TensorsAndKeysAreThoseOfTheGoldenFile) {
  const io::TempDir dir;
  const auto source = io::Checkpoint::open(GetParam());
  ASSERT_TRUE(source.ok()) << source.error().str();
  auto converted = to_gguf(*source);
  ASSERT_TRUE(converted.ok()) << converted.error().str();
  ASSERT_TRUE(write_converted(std::move(*converted), dir / "m.gguf").ok());
  const auto golden = io::Checkpoint::open(GetParam() / "model.gguf");
  const auto own = io::Checkpoint::open(dir / "m.gguf");
  ASSERT_TRUE(golden.ok() && own.ok());

  for (const TensorView& want : golden->tensors()) {
    const TensorView* got = own->find(want.name);
    ASSERT_NE(got, nullptr) << want.name;
    EXPECT_EQ(got->shape, want.shape) << want.name;
    const std::vector<float> a = values_of(want), b = values_of(*got);
    ASSERT_EQ(a.size(), b.size());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << want.name;
  }
  for (const TensorView& got : own->tensors()) EXPECT_NE(golden->find(got.name), nullptr) << got.name;

  GgufForm form, same;
  const auto want = spec_of(*golden, &form), got = spec_of(*own, &same);
  ASSERT_TRUE(want.ok() && got.ok());
  EXPECT_EQ(form.architecture, same.architecture);
  std::vector<std::string> notes;
  const auto other = difference(*want, *got, form, notes);
  EXPECT_FALSE(other.has_value()) << *other;
  EXPECT_EQ(want->block.attn.interleaved, got->block.attn.interleaved);
}

INSTANTIATE_TEST_SUITE_P(Golden, ToGguf, testing::ValuesIn(folders(true)), [](const auto& info) {
  std::string name = info.param.filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Whole rows that are only moved are there as bytes, too.
TEST(Convert, RowsAsBytesAreTheRowsAsNumbers) {
  for (const char* name : {"models/llama-bf16", "models/gpt_neox", "models/mixtral", "encoders/roberta"}) {
    const auto source = io::Checkpoint::open(kGolden / name);
    const auto converted = to_gguf(*source);
    ASSERT_TRUE(converted.ok()) << converted.error().str();
    size_t moved = 0;
    for (const ConvertedTensor& t : converted->tensors) {
      if (!t.moved_only()) continue;
      ++moved;
      std::vector<std::byte> bytes(static_cast<size_t>(t.rows() * row_bytes(t.dtype(), t.cols())));
      std::vector<float> a(static_cast<size_t>(t.rows() * t.cols())), b(a.size());
      t.copy(0, t.rows(), bytes.data());
      format(t.dtype()).decode(bytes.data(), a.data(), t.rows() * t.cols());
      t.decode(0, t.rows(), b.data());
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << t.name();
    }
    EXPECT_GT(moved, 10u) << name;
  }
}

TEST(Convert, GgufFilesPassUnchanged) {
  const io::TempDir dir;
  auto builder = TinyModel{.dtype = DType::q4_1}.gguf();
  builder.key("a.key", uint16_t{7}).array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  ASSERT_TRUE(builder.write(dir / "a.gguf").ok());
  const auto source = io::Checkpoint::open(dir / "a.gguf");
  auto converted = to_gguf(*source);
  ASSERT_TRUE(converted.ok());
  ASSERT_EQ(converted->metadata.entries().size(), builder.keys.size());
  for (size_t i = 0; i < builder.keys.size(); ++i) {
    EXPECT_EQ(converted->metadata.entries()[i].key, builder.keys[i].name);
    EXPECT_EQ(converted->metadata.entries()[i].value.bytes(), builder.keys[i].value);
  }
  ASSERT_TRUE(write_converted(std::move(*converted), dir / "b.gguf").ok());
  const auto own = io::Checkpoint::open(dir / "b.gguf");
  ASSERT_EQ(own->tensors().size(), source->tensors().size());
  for (size_t i = 0; i < own->tensors().size(); ++i) {
    const TensorView &a = source->tensors()[i], &b = own->tensors()[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.dtype, b.dtype);
    EXPECT_EQ(a.shape, b.shape);
    EXPECT_EQ(std::memcmp(a.data, b.data, a.bytes), 0) << a.name;
  }
}

TEST(Convert, WhatStaysFloat) {
  const auto stays = [](const char* name, std::vector<int64_t> shape) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    return ConvertedTensor(name, shape, DType::f32, std::vector<float>(static_cast<size_t>(n))).stays_float();
  };
  EXPECT_TRUE(stays("blk.0.attn_norm.weight", {4}));
  EXPECT_TRUE(stays("blk.0.attn_q_norm.weight", {2, 4}));
  EXPECT_TRUE(stays("blk.0.ffn_gate_inp.weight", {2, 4}));
  EXPECT_TRUE(stays("position_embd.weight", {2, 4}));
  EXPECT_TRUE(stays("enc.position_embd.weight", {2, 4}));
  EXPECT_TRUE(stays("enc.conv1.weight", {2, 4, 3}));
  EXPECT_TRUE(stays("token_types.weight", {2, 4}));
  EXPECT_TRUE(stays("enc.blk.0.attn_rel_b.weight", {2, 4}));
  EXPECT_TRUE(stays("blk.0.attn_q.bias", {4}));
  EXPECT_FALSE(stays("token_embd.weight", {2, 4}));
  EXPECT_FALSE(stays("blk.0.ffn_gate_exps.weight", {2, 2, 2}));
}

TEST(Convert, ArchitecturesWithoutAGgufFormAreErrors) {
  for (const char* name :
       {"models/opt", "encoders/albert", "encoders/mpnet", "encoders/electra", "seq2seq/bart", "seq2seq/marian"}) {
    const std::string error = error_of(kGolden / name);
    const Json config = Json::parse(*read_file(kGolden / name / "config.json"));
    EXPECT_NE(error.find(config["architectures"][0].get<std::string>()), std::string::npos) << error;
    EXPECT_NE(error.find("safetensors"), std::string::npos) << error;
  }
  for (const char* name : {"encoders/bert-tokens", "encoders/modernbert-span"}) {
    EXPECT_NE(error_of(kGolden / name).find("has no head like that"), std::string::npos);
  }
}

// Of every family: what its own GGUF files cannot say is not lost in silence.
TEST(Convert, WhatTheKeysCannotSayIsAnError) {
  const struct {
    const char* model;
    Json fields;
    const char* what;
  } cases[] = {
      {"models/gemma2", {{"query_pre_attn_scalar", 100}}, "scale of scores"},
      {"models/gemma3", {{"layer_types", Json()}, {"sliding_window_pattern", 2}}, "layers that slide"},
      {"models/gemma3-layers", Json::object(), "scale of scores"},
      {"models/gpt2", {{"scale_attn_weights", false}}, "scale of scores"},
      {"models/gpt2", {{"activation_function", "relu"}}, "activation"},
      {"models/smollm3", {{"no_rope_layer_interval", 2}, {"no_rope_layers", Json()}}, "layers without a rotation"},
      {"models/llama", {{"hidden_act", "gelu"}}, "activation"},
      {"encoders/bert", {{"hidden_act", "relu"}}, "activation"},
      {"seq2seq/whisper", {{"activation_function", "relu"}}, "activation"},
      {"seq2seq/t5", {{"relative_attention_max_distance", 64}}, "farthest distance"},
  };
  for (const auto& c : cases) {
    const io::TempDir dir;
    patched(kGolden / c.model, dir.path(), c.fields);
    const std::string error = error_of(dir.path());
    EXPECT_NE(error.find("cannot say what this model is"), std::string::npos) << c.model << ": " << error;
    EXPECT_NE(error.find(c.what), std::string::npos) << c.model << ": " << error;
  }
}

TEST(Convert, WhatReadersLiveWithoutIsNoted) {
  const auto notes = [](const char* model) {
    const auto source = io::Checkpoint::open(kGolden / model);
    const auto converted = to_gguf(*source);
    EXPECT_TRUE(converted.ok()) << converted.error().str();
    std::string all;
    for (const std::string& note : converted->notes) all += note + '\n';
    return all;
  };
  EXPECT_NE(notes("models/mistral").find("no sliding window"), std::string::npos);
  EXPECT_NE(notes("models/qwen2-window").find("no sliding window"), std::string::npos);
  EXPECT_NE(notes("models/llama-dynamic").find("no dynamic scaling"), std::string::npos);
  EXPECT_EQ(notes("models/gemma2").find("sliding"), std::string::npos);
  EXPECT_NE(notes("models/llama").find("no tokenizer"), std::string::npos);
}

TEST(Convert, ATokenizerComesAlong) {
  const auto source = io::Checkpoint::open(kGolden / "seq2seq/t5");
  const auto converted = to_gguf(*source);
  ASSERT_TRUE(converted.ok()) << converted.error().str();
  EXPECT_EQ(*converted->metadata.find("tokenizer.ggml.model"), io::GgufValue("t5"));
  EXPECT_EQ(converted->metadata.find("tokenizer.ggml.eos_token_id")->type(), io::GgufType::u32);
  EXPECT_EQ(converted->metadata.find("t5.decoder_start_token_id")->type(), io::GgufType::u32);
}

}  // namespace
}  // namespace miao::models
