// Whisper as GGUF files: from Hugging Face's and CTranslate2's form to each type, and what such files then say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compress/gguf_copy.h"
#include "compress/quantize.h"
#include "compress/verify.h"
#include "io/gguf_metadata.h"
#include "models/suppressed.h"
#include "runtime/speech_testing.h"
#include "runtime/transcribe.h"

namespace miao::compress {
namespace {

namespace fs = std::filesystem;

class Speech : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new io::TempDir;
    runtime::write_tiny_whisper(*dir_ / "hf", 1, 64);
    runtime::write_tiny_whisper_ct2(*dir_ / "ct2", *dir_ / "hf");
  }
  static void TearDownTestSuite() { delete dir_; }

  static fs::path quantized(const char* kind, const char* type) {
    const fs::path out = *dir_ / (std::string(kind) + "-" + type + ".gguf");
    const auto model = io::Checkpoint::open(*dir_ / kind);
    EXPECT_TRUE(model.ok());
    const auto copy = GgufCopy::of(*model, out, {}, nullptr);
    EXPECT_TRUE(copy.ok()) << copy.error().str();
    if (!copy.ok()) return out;
    const auto source = io::Checkpoint::open(copy->path());
    EXPECT_TRUE(source.ok());
    const QuantizeOptions options{
        .recipe = *Recipe::named(type), .calibration = {}, .writer = "test", .threads = 2, .progress = {}};
    const auto done = quantize(*source, out, options);
    EXPECT_TRUE(done.ok()) << done.error().str();
    return out;
  }

  static std::vector<float> noise(size_t count) {
    std::vector<float> out(count);
    for (size_t i = 0; i < count; ++i) out[i] = 0.5f * std::sin(0.37f * static_cast<float>(i * i % 1013));
    return out;
  }
  static std::vector<float> logits(const fs::path& path) {
    auto engine = runtime::Engine::open(path, {.threads = 2});
    EXPECT_TRUE(engine.ok()) << engine.error().str();
    if (!engine.ok()) return {};
    const std::vector<float> features = noise(80 * 200);
    const runtime::EncoderInput input{.ids = {}, .types = {}, .features = features};
    auto memory = (*engine)->encode({&input, 1});
    EXPECT_TRUE(memory.ok()) << memory.error().str();
    runtime::Sequence sequence = (*engine)->new_sequence();
    std::vector<float> out;
    const std::vector<int32_t> ids = {57, 58, 61, 3, 4, 5};
    const auto take = [&](int64_t, const runtime::Logits& rows) -> Result<void> {
      for (int64_t r = 0; r < rows.rows(); ++r) out.insert(out.end(), rows.row(r).begin(), rows.row(r).end());
      return {};
    };
    EXPECT_TRUE((*engine)->forward_all(sequence, ids, take, nullptr, memory->data()).ok());
    return out;
  }
  static double error_of(const std::vector<float>& values, const std::vector<float>& want) {
    EXPECT_EQ(values.size(), want.size());
    double error = 0, size = 0;
    for (size_t i = 0; i < std::min(values.size(), want.size()); ++i) {
      error += std::pow(double{values[i]} - double{want[i]}, 2);
      size += std::pow(double{want[i]}, 2);
    }
    return std::sqrt(error / size);
  }
  static runtime::Transcript said(const fs::path& path) {
    const auto engine = runtime::Engine::open(path, {.threads = 2});
    EXPECT_TRUE(engine.ok()) << engine.error().str();
    const auto whisper = runtime::Transcriber::of(**engine);
    EXPECT_TRUE(whisper.ok()) << whisper.error().str();
    if (!whisper.ok()) return {};
    const auto out = whisper->run(noise(40'000), {.temperatures = {0}});
    EXPECT_TRUE(out.ok()) << out.error().str();
    return out.ok() ? *out : runtime::Transcript();
  }

  static io::TempDir* dir_;
};
io::TempDir* Speech::dir_ = nullptr;

TEST_F(Speech, FullPrecisionIsTheSameBits) {
  for (const auto& [kind, type] : {std::pair("hf", "F32"), std::pair("ct2", "F16")}) {
    const fs::path file = quantized(kind, type);
    EXPECT_EQ(logits(file), logits(*dir_ / kind)) << kind;
    const runtime::Transcript own = said(file), source = said(*dir_ / kind);
    ASSERT_FALSE(source.segments.empty());
    ASSERT_EQ(own.segments.size(), source.segments.size());
    EXPECT_EQ(own.language, source.language);
    for (size_t i = 0; i < own.segments.size(); ++i) {
      EXPECT_EQ(own.segments[i].tokens, source.segments[i].tokens) << kind;
      EXPECT_EQ(own.segments[i].text, source.segments[i].text);
      EXPECT_EQ(own.segments[i].avg_log_probability, source.segments[i].avg_log_probability);
    }
  }
}

TEST_F(Speech, SmallerTypesAreAsNearAsTheirGridsAllow) {
  const struct {
    const char* type;
    double most;
  } cases[] = {{"F16", 0.002}, {"Q8_0", 0.05}, {"Q5_0", 0.15}, {"Q4_0", 0.3}};
  for (const char* kind : {"hf", "ct2"}) {
    const std::vector<float> want = logits(*dir_ / "hf");
    for (const auto& c : cases) {
      const fs::path file = quantized(kind, c.type);
      EXPECT_LT(error_of(logits(file), want), c.most) << kind << " " << c.type;
      EXPECT_FALSE(said(file).segments.empty());
      const auto report = verify_file(file, {.threads = 2, .progress = {}});
      ASSERT_TRUE(report.ok()) << report.error().str();
      EXPECT_EQ(report->canary, VerifyReport::Canary::same) << kind << " " << c.type;
      EXPECT_EQ(report->checked, report->tensors);
    }
  }
}

TEST_F(Speech, WhatStaysFloatingAndWhatTheKeysSay) {
  const auto file = io::Checkpoint::open(quantized("ct2", "Q8_0"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->find("enc.conv1.weight")->dtype, DType::f16);
  EXPECT_EQ(file->find("dec.position_embd.weight")->dtype, DType::f16);
  EXPECT_EQ(file->find("enc.blk.0.attn_norm.weight")->dtype, DType::f32);
  EXPECT_EQ(file->find("dec.blk.0.attn_qkv.bias")->dtype, DType::f32);
  for (const char* name : {"token_embd", "enc.blk.0.attn_qkv", "enc.blk.0.attn_o", "dec.blk.0.cross_attn_kv",
                           "dec.blk.0.cross_attn_o", "dec.blk.0.ffn_down"}) {
    const TensorView* const t = file->find(std::string(name) + ".weight");
    ASSERT_TRUE(t) << name;
    EXPECT_EQ(t->dtype, DType::q8_0) << name;
  }
  EXPECT_EQ(file->find("output.weight"), nullptr);
  const KeyValues& meta = file->meta();
  EXPECT_EQ(*meta.string("general.architecture"), "whisper");
  EXPECT_EQ(*meta.integer("whisper.encoder.mels_count"), 80);
  EXPECT_EQ(*meta.integer("whisper.encoder.context_length"), 1500);
  EXPECT_EQ(*meta.integer("whisper.decoder.context_length"), 448);
  EXPECT_EQ(*meta.integer("whisper.decoder.attention.head_count"), 2);
  EXPECT_EQ(*meta.integer("whisper.audio.hop_length"), 160);
  EXPECT_EQ(*meta.string("tokenizer.ggml.model"), "gpt2");
  const auto suppressed = models::read_suppressed(*file);
  ASSERT_TRUE(suppressed.ok());
  EXPECT_EQ(suppressed->anywhere, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(suppressed->first, (std::vector<int32_t>{0, 56}));
}

TEST_F(Speech, OtherFeaturesAreRefused) {
  const auto file = io::Checkpoint::open(quantized("hf", "F16"));
  ASSERT_TRUE(file.ok());
  for (const auto& [key, value, words] :
       {std::tuple("whisper.audio.hop_length", 128u, "'whisper.audio.hop_length' is 128"),
        std::tuple("whisper.decoder.attention.head_count", 3u, "does not divide"),
        std::tuple("whisper.encoder.block_count", 2u, "enc.blk.1.")}) {
    io::GgufMetadata meta = io::GgufMetadata::of(*file);
    meta.set(key, value);
    std::vector<io::TensorInfo> infos;
    for (const TensorView& t : file->tensors()) infos.push_back({t.name, t.dtype, t.shape});
    const fs::path path = *dir_ / "other.gguf";
    auto out = io::GgufWriter::create(path, meta, infos);
    ASSERT_TRUE(out.ok());
    for (const TensorView& t : file->tensors())
      ASSERT_TRUE(out->write(t.name, {t.data, static_cast<size_t>(t.bytes)}).ok());
    ASSERT_TRUE(out->finish().ok());
    const auto engine = runtime::Engine::open(out->readable(), {.threads = 1});
    ASSERT_FALSE(engine.ok()) << key;
    EXPECT_NE(engine.error().str().find(words), std::string::npos) << engine.error().str();
  }
}

}  // namespace
}  // namespace miao::compress
