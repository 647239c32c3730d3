// From a file to a quantised one and back: types, bytes, checksums, canary; what goes wrong leaves nothing behind.
#include "compress/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>

#include "base/file.h"
#include "compress/calibration_text.h"
#include "compress/canary.h"
#include "compress/gguf_copy.h"
#include "compress/verify.h"
#include "io/testing.h"
#include "models/model.h"
#include "models/testing.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"
#include "runtime/testing.h"

namespace miao::compress {
namespace {

namespace fs = std::filesystem;

class QuantizeFile : public testing::Test {
 protected:
  QuantizeFile() { EXPECT_TRUE(runtime::talking_model().write(model_path()).ok()); }

  fs::path model_path() const { return dir_ / "model.gguf"; }
  fs::path out() const { return dir_ / "out.gguf"; }
  io::Checkpoint model() const { return std::move(*io::Checkpoint::open(model_path())); }
  static QuantizeOptions options(const char* type) {
    return {.recipe = *Recipe::named(type),
            .choice = {},
            .calibration = {},
            .writer = "test",
            .calibrated_on = {},
            .threads = 2,
            .progress = {}};
  }
  Quantized write(const QuantizeOptions& o) {
    auto done = quantize(model(), out(), o);
    EXPECT_TRUE(done.ok()) << done.error().str();
    return done.ok() ? std::move(*done) : Quantized{};
  }
  std::vector<std::vector<int32_t>> windows(int64_t count) const {
    const auto engine = *runtime::Engine::open(model_path(), {.threads = 2});
    return *own_text(*engine, {.size = {count, 40}, .progress = {}});
  }
  // The mean absolute difference of logits on one text.
  double distance(const fs::path& other) const {
    std::vector<float> logits[2];
    const auto ids = windows(1)[0];
    for (int i = 0; i < 2; ++i) {
      const auto engine = *runtime::Engine::open(i ? other : model_path(), {.threads = 2});
      runtime::Sequence sequence = engine->new_sequence();
      const auto rows = engine->forward(sequence, ids, runtime::Want::all);
      EXPECT_TRUE(rows.ok());
      for (int64_t r = 0; r < rows->rows(); ++r)
        logits[i].insert(logits[i].end(), rows->row(r).begin(), rows->row(r).end());
    }
    double sum = 0;
    for (size_t i = 0; i < logits[0].size(); ++i) sum += std::abs(double{logits[0][i]} - double{logits[1][i]});
    return sum / static_cast<double>(logits[0].size());
  }
  // Everything in the folder but the model.
  std::vector<std::string> others() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(dir_.path())) {
      if (entry.path() != model_path()) out.push_back(entry.path().filename());
    }
    return out;
  }

  io::TempDir dir_;
};

TEST_F(QuantizeFile, TypesAreThoseOfTheRecipe) {
  const Quantized q = write(options("Q4_0"));
  const auto file = *io::Checkpoint::open(out());
  ASSERT_EQ(file.tensors().size(), model().tensors().size());
  for (const QuantizedTensor& t : q.tensors) {
    const TensorView* const written = file.find(t.name);
    ASSERT_TRUE(written) << t.name;
    EXPECT_EQ(written->dtype, t.to) << t.name;
    EXPECT_EQ(written->shape, model().find(t.name)->shape) << t.name;
    EXPECT_EQ(written->bytes, t.bytes) << t.name;
  }
  EXPECT_EQ(file.find("blk.1.ffn_up.weight")->dtype, DType::q4_0);
  EXPECT_EQ(file.find("output.weight")->dtype, DType::q8_0);  // Q6_K, which 32 columns are no blocks of
  EXPECT_EQ(file.find("blk.1.ffn_norm.weight")->dtype, DType::f32);
  EXPECT_EQ(*file.meta().integer("general.file_type"), 2);
  EXPECT_EQ(*file.meta().string("tokenizer.ggml.model"), "llama");
  EXPECT_EQ(file.tensors()[0].name, "blk.0.attn_norm.weight");
  EXPECT_EQ(q.bytes, file.bytes());
  EXPECT_LT(q.bytes, q.bytes_before / 3);
  EXPECT_GT(distance(out()), 0);
  EXPECT_LT(distance(out()), 1);
}

TEST_F(QuantizeFile, AFileAsksForItsKeysAndValues) {
  using kernels::KvType;
  QuantizeOptions o = options("Q8_0");
  write(o);
  EXPECT_EQ((*runtime::Engine::open(out(), {.threads = 1}))->kv_type(), KvType::f16);
  o.kv = KvType::int8;
  write(o);
  EXPECT_TRUE(verify_file(out(), {.progress = {}})->good());
  const auto opened = *runtime::Engine::open(out(), {.threads = 1});
  EXPECT_EQ(opened->kv_type(), KvType::int8);
  EXPECT_EQ((*runtime::Engine::open(out(), {.threads = 1, .kv = KvType::f32}))->kv_type(), KvType::f32);
  EXPECT_EQ((*runtime::Engine::open(out(), {.threads = 1, .compute = runtime::Compute::f32}))->kv_type(), KvType::f32);
  // A copy of it asks for the same; another type, in a file or in a running model, gives other results.
  QuantizeOptions again = options("Q4_0");
  again.requantize = true;
  ASSERT_TRUE(quantize(*io::Checkpoint::open(out()), dir_ / "again.gguf", again).ok());
  EXPECT_EQ((*runtime::Engine::open(dir_ / "again.gguf", {.threads = 1}))->kv_type(), KvType::int8);
  const auto ids = windows(1)[0];
  const auto logits = [&](runtime::Engine& engine) {
    runtime::Sequence sequence = engine.new_sequence();
    const auto rows = *engine.forward(sequence, ids, runtime::Want::last);
    return std::vector<float>(rows.row(0).begin(), rows.row(0).end());
  };
  const auto eight = logits(*opened);
  ASSERT_TRUE(opened->use_kv(KvType::f16).ok());
  EXPECT_EQ(logits(*opened), logits(**runtime::Engine::open(out(), {.threads = 1, .kv = KvType::f16})));
  EXPECT_NE(logits(*opened), eight);
  ASSERT_TRUE(opened->use_kv(KvType::int8).ok());
  EXPECT_EQ(logits(*opened), eight);
  // One that is not known.
  std::string bytes = *read_file(out());
  const size_t at = bytes.find("INT8", bytes.find(models::kKvKey));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 3] = '9';
  ASSERT_TRUE(write_file_atomic(out(), bytes).ok());
  const auto broken = runtime::Engine::open(out(), {.threads = 1});
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("'INT9', which this program does not know"), std::string::npos);
  EXPECT_TRUE(runtime::Engine::open(out(), {.threads = 1, .kv = KvType::f16}).ok());
}

TEST_F(QuantizeFile, FloatingTypesAndCopies) {
  write(options("F32"));
  EXPECT_EQ(distance(out()), 0);
  write(options("BF16"));
  EXPECT_LT(distance(out()), 0.05);
}

TEST_F(QuantizeFile, SameBytesForAnyThreads) {
  std::string want;
  for (const int threads : {1, 3}) {
    auto o = options("Q4_0");
    o.threads = threads;
    const auto calibration = windows(3);
    o.calibration = calibration;
    write(o);
    const std::string bytes = *read_file(out());
    if (want.empty()) want = bytes;
    EXPECT_TRUE(bytes == want) << threads;
  }
}

TEST_F(QuantizeFile, GptqIsNearerThanRounding) {
  auto o = options("Q4_0");
  o.choice.pure = true;
  write(o);
  const double rounded = distance(out());
  const auto calibration = windows(24);
  o.calibration = calibration;
  std::vector<std::string> seen;
  o.progress = [&](std::string_view what, uint64_t, uint64_t) { seen.emplace_back(what); };
  write(o);
  EXPECT_LT(distance(out()), rounded);
  EXPECT_NE(std::ranges::find(seen, "blk.1.ffn_down.weight"), seen.end());
  EXPECT_TRUE(verify_file(out(), {.progress = {}})->good());
}

TEST_F(QuantizeFile, ImportanceOfAFile) {
  const auto engine = *runtime::Engine::open(model_path(), {.threads = 2});
  const auto calibration = windows(8);
  const auto measured = measure_importance(*engine, calibration, {}, nullptr);
  ASSERT_TRUE(measured.ok()) << measured.error().str();
  EXPECT_EQ(measured->inputs().size(), 14u);  // seven matrices in each of two blocks
  ASSERT_TRUE(measured->write(dir_ / "importance.gguf", {"a text"}).ok());
  const auto read = Importance::read(dir_ / "importance.gguf");
  ASSERT_TRUE(read.ok()) << read.error().str();
  ASSERT_EQ(read->inputs().size(), 14u);
  EXPECT_EQ(read->mean("blk.0.attn_q.weight"), read->mean("blk.0.attn_v.weight"));
  EXPECT_EQ(read->mean("blk.1.ffn_down.weight").size(), 64u);
  EXPECT_TRUE(read->mean("nobody").empty());
  EXPECT_EQ(read->inputs().at("blk.0.attn_q.weight").count, std::vector<double>{8 * 40});
  auto o = options("Q4_0");
  o.importance = &*read;
  o.rounding = Rounding::importance;
  write(o);
  EXPECT_EQ(*io::Checkpoint::open(out())->meta().string("miao.quantize.rounding"), "importance");
  EXPECT_LT(distance(out()), 1);
  EXPECT_EQ(Importance::read(model_path()).error().code, Code::invalid);
}

TEST_F(QuantizeFile, VerifyFindsDamage) {
  write(options("Q8_0"));
  const VerifyReport good = *verify_file(out(), {.threads = 1, .progress = {}});
  EXPECT_TRUE(good.good());
  EXPECT_EQ(good.canary, VerifyReport::Canary::same);
  EXPECT_EQ(good.checked, good.tensors);
  EXPECT_EQ(good.writer, "test");
  const auto file = *io::Checkpoint::open(out());
  const TensorView t = *file.find("blk.1.ffn_up.weight");
  const std::string bytes = *read_file(out());
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(t.data), 64));
  ASSERT_NE(at, std::string::npos);
  std::string damaged = bytes;
  damaged[at + 7] ^= 1;
  ASSERT_TRUE(write_file_atomic(dir_ / "damaged.gguf", damaged).ok());
  const VerifyReport bad = *verify_file(dir_ / "damaged.gguf", {.progress = {}});
  EXPECT_FALSE(bad.good());
  EXPECT_EQ(bad.damaged, std::vector<std::string>{"blk.1.ffn_up.weight"});
  // A hyper-parameter that no checksum covers.
  damaged = bytes;
  const size_t eps = bytes.find("layer_norm_rms_epsilon");
  ASSERT_NE(eps, std::string::npos);
  damaged[eps + 22 + 4 + 2] ^= 0x40;
  ASSERT_TRUE(write_file_atomic(dir_ / "damaged.gguf", damaged).ok());
  const VerifyReport other = *verify_file(dir_ / "damaged.gguf", {.progress = {}});
  EXPECT_TRUE(other.damaged.empty());
  EXPECT_EQ(other.canary, VerifyReport::Canary::differs);
  EXPECT_FALSE(other.good());
  // Without a canary, and without anything.
  auto o = options("Q8_0");
  o.canary = false;
  write(o);
  EXPECT_TRUE(verify_file(out(), {.progress = {}})->good());
  EXPECT_FALSE(verify_file(model_path(), {.progress = {}})->good());
}

TEST_F(QuantizeFile, WhatIsQuantisedStaysUnlessAsked) {
  write(options("Q8_0"));
  fs::rename(out(), model_path());
  const auto refused = quantize(model(), out(), options("Q4_0"));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().str().find("is Q8_0 already"), std::string::npos) << refused.error().str();
  EXPECT_TRUE(others().empty());
  auto o = options("Q4_0");
  o.requantize = true;
  write(o);
  EXPECT_EQ(io::Checkpoint::open(out())->find("blk.0.attn_q.weight")->dtype, DType::q4_0);
}

TEST_F(QuantizeFile, NothingHalfDoneUnderTheName) {
  io::GgufBuilder broken = runtime::talking_model();
  ASSERT_TRUE(broken.write(model_path()).ok());
  std::string bytes = *read_file(model_path());
  {
    const auto file = model();
    const TensorView t = *file.find("blk.1.attn_k.weight");
    const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(t.data), 64));
    ASSERT_NE(at, std::string::npos);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(bytes.data() + at + 33 * 4, &nan, 4);
  }
  ASSERT_TRUE(write_file_atomic(model_path(), bytes).ok());
  const auto failed = quantize(model(), out(), options("Q4_0"));
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().str().find("NaN"), std::string::npos) << failed.error().str();
  EXPECT_NE(failed.error().str().find("blk.1.attn_k.weight"), std::string::npos) << failed.error().str();
  EXPECT_TRUE(others().empty());

  ASSERT_TRUE(runtime::talking_model().write(model_path()).ok());
  const auto calibration = windows(2);
  for (int stop = 0; stop < 40; ++stop) {  // cancelled at every point that it tells of
    std::atomic<bool> cancel = false;
    int left = stop;
    auto o = options("Q4_0");
    o.calibration = calibration;
    o.cancel = &cancel;
    o.progress = [&](std::string_view, uint64_t, uint64_t) {
      if (left-- == 0) cancel = true;
    };
    const auto stopped = quantize(model(), out(), o);
    if (stopped.ok()) {
      EXPECT_GT(stop, 10);
      break;
    }
    EXPECT_EQ(stopped.error().code, Code::cancelled) << stopped.error().str();
    EXPECT_TRUE(others().empty()) << stop;
  }
  EXPECT_FALSE(quantize(model(), dir_ / "no" / "out.gguf", options("Q4_0")).ok());
}

// A Hugging Face directory gives what a GGUF file of the same weights gives.
TEST_F(QuantizeFile, OfAHuggingFaceDirectory) {
  const fs::path folder = fs::path(MIAO_SOURCE_DIR) / "tests/golden/models/llama";
  std::map<std::string, std::string> bytes[2];
  for (const bool directory : {true, false}) {
    const auto checkpoint = *io::Checkpoint::open(directory ? folder : folder / "model.gguf");
    const auto plan = plan_types(checkpoint, options("Q4_0"));
    ASSERT_TRUE(plan.ok()) << plan.error().str();
    const auto copy = GgufCopy::of(checkpoint, out(), {}, nullptr);
    ASSERT_TRUE(copy.ok()) << copy.error().str();
    EXPECT_EQ(copy->path() == checkpoint.path(), !directory);
    EXPECT_TRUE(others().empty());
    const auto done = quantize(*io::Checkpoint::open(copy->path()), out(), options("Q4_0"));
    ASSERT_TRUE(done.ok()) << done.error().str();
    EXPECT_EQ(done->bytes, plan->bytes);
    const auto file = *io::Checkpoint::open(out());
    for (const TensorView& t : file.tensors()) {
      bytes[directory][t.name] = format(t.dtype).name + std::string(reinterpret_cast<const char*>(t.data), t.bytes);
    }
    fs::remove(out());
  }
  EXPECT_EQ(bytes[0].size(), 21u);
  EXPECT_TRUE(bytes[0] == bytes[1]);
}

TEST_F(QuantizeFile, Experts) {
  const models::TinyModel experts{.dtype = DType::f16, .experts = 4, .experts_used = 2};
  ASSERT_TRUE(experts.gguf().write(model_path()).ok());
  const auto calibration = windows(4);
  auto o = options("Q4_0");
  o.calibration = calibration;
  write(o);
  const auto file = *io::Checkpoint::open(out());
  EXPECT_EQ(file.find("blk.1.ffn_up_exps.weight")->dtype, DType::q4_0);
  EXPECT_EQ(file.find("blk.1.ffn_gate_inp.weight")->dtype, DType::f32);
  for (const char* name : {"blk.1.ffn_up_exps.weight", "blk.0.ffn_down_exps.weight"}) {
    const auto source = model();
    const TensorView &before = *source.find(name), &after = *file.find(name);
    std::vector<float> x(static_cast<size_t>(before.elements())), y(x.size());
    format(before.dtype).decode(before.data, x.data(), before.elements());
    format(after.dtype).decode(after.data, y.data(), after.elements());
    double error = 0, size = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      error += (x[i] - y[i]) * (x[i] - y[i]);
      size += x[i] * x[i];
    }
    EXPECT_LT(error, 0.02 * size) << name;  // a code too far by one expert, or a row, would be about 2
  }
}

TEST(CalibrationText, WindowsOfATextLieEvenly) {
  const io::TempDir dir;
  ASSERT_TRUE(runtime::talking_model().write(dir / "m.gguf").ok());
  const auto engine = *runtime::Engine::open(dir / "m.gguf", {.threads = 2});
  const prep::Tokenizer& tokenizer = **engine->tokenizer();
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>('a' + i % 26);
  const auto ids = *tokenizer.encode(text, {.add_special = false});
  const auto windows = text_windows(tokenizer, text, {.windows = 3, .tokens = 21});
  ASSERT_TRUE(windows.ok()) << windows.error().str();
  ASSERT_EQ(windows->size(), 3u);
  const bool begins = !tokenizer.encode("")->empty();
  for (const auto& window : *windows) EXPECT_EQ(window.size(), 21u);
  const size_t head = begins ? 1 : 0, length = 21 - head;
  EXPECT_TRUE(std::equal((*windows)[0].begin() + static_cast<int64_t>(head), (*windows)[0].end(), ids.begin()));
  const size_t whole = ids.size() / length;
  EXPECT_TRUE(std::equal((*windows)[2].begin() + static_cast<int64_t>(head), (*windows)[2].end(),
                         ids.begin() + static_cast<int64_t>(2 * whole / 3 * length)));
  EXPECT_EQ(text_windows(tokenizer, "short", {.windows = 3, .tokens = 21}).error().code, Code::invalid);
  EXPECT_EQ(text_windows(tokenizer, std::string_view("a\0b", 3), {}).error().code, Code::invalid);
}

TEST(CalibrationText, OwnTextIsTheSameForASeed) {
  const io::TempDir dir;
  ASSERT_TRUE(runtime::talking_model().write(dir / "m.gguf").ok());
  const auto engine = *runtime::Engine::open(dir / "m.gguf", {.threads = 2});
  const auto first = *own_text(*engine, {.size = {40, 12}, .seed = 3, .progress = {}});
  ASSERT_EQ(first.size(), 40u);
  for (const auto& window : first) EXPECT_EQ(window.size(), 12u);
  EXPECT_EQ(first, *own_text(*engine, {.size = {40, 12}, .seed = 3, .progress = {}}));
  EXPECT_NE(first, *own_text(*engine, {.size = {40, 12}, .seed = 4, .progress = {}}));
  EXPECT_NE(first[0], first[1]);
  const std::atomic<bool> cancel = true;
  EXPECT_EQ(own_text(*engine, {.progress = {}, .cancel = &cancel}).error().code, Code::cancelled);
}

}  // namespace
}  // namespace miao::compress
