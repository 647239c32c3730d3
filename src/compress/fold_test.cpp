// Folds: the model computes what it did, whatever its architecture, and its weights are what a fold says.
#include "compress/fold.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "compress/calibration_text.h"
#include "compress/fold/rotation.h"
#include "compress/quantize.h"
#include "io/testing.h"
#include "models/testing.h"
#include "runtime/encoder_testing.h"
#include "runtime/testing.h"

namespace miao::compress {
namespace {

namespace fs = std::filesystem;
using models::TinyModel;

class Fold : public testing::Test {
 protected:
  std::vector<float> logits(const fs::path& file) const {
    const auto engine = std::move(*runtime::Engine::open(file, {.threads = 2, .compute = runtime::Compute::f32}));
    runtime::Sequence sequence = engine->new_sequence();
    const std::vector<int32_t> ids{1, 5, 9, 2, 30, 17, 4, 4, 8};
    const auto rows = engine->forward(sequence, ids, runtime::Want::all);
    std::vector<float> out;
    for (int64_t i = 0; i < rows->rows(); ++i) out.insert(out.end(), rows->row(i).begin(), rows->row(i).end());
    return out;
  }
  // Distance by size.
  double apart(const fs::path& a, const fs::path& b) const {
    const std::vector<float> x = logits(a), y = logits(b);
    double d = 0, size = 0;
    for (size_t i = 0; i < x.size(); ++i) d += std::pow(x[i] - y[i], 2), size += double{x[i]} * double{x[i]};
    return x.size() == y.size() ? std::sqrt(d / size) : 1;
  }
  fs::path write(const TinyModel& model) {
    const fs::path file = dir_ / (std::to_string(++count_) + ".gguf");
    EXPECT_TRUE(model.gguf().write(file).ok());
    return file;
  }
  static std::vector<std::vector<int32_t>> windows() {
    std::vector<std::vector<int32_t>> out(3);
    for (int i = 0; i < 90; ++i) out[static_cast<size_t>(i % 3)].push_back(i * 7 % 40);
    return out;
  }
  static Result<Importance> importance_of(const fs::path& file) {
    const auto engine = std::move(*runtime::Engine::open(file, {.threads = 2}));
    return measure_importance(*engine, windows(), {}, nullptr);
  }
  Result<std::optional<Scaled>> scaled(const fs::path& file, DType type) {
    MIAO_TRY(const Importance importance, importance_of(file));
    MIAO_TRY(const io::Checkpoint model, io::Checkpoint::open(file));
    return scale(model, dir_ / "scaled.gguf", importance, [&](std::string_view) { return type; }, {.threads = 2});
  }

  io::TempDir dir_;
  int count_ = 0;
};

TEST(Rotation, IsOrthogonalForAnySize) {
  for (const int64_t n : {1, 2, 3, 8, 12, 36, 64, 72, 576}) {
    const Rotation q(n);
    std::vector<std::vector<double>> rows;
    for (int64_t i = 0; i < n; ++i) {
      std::vector<double> x(static_cast<size_t>(n)), scratch(x.size());
      x[static_cast<size_t>(i)] = 1;
      q.apply(x.data(), scratch.data());
      rows.push_back(x);
    }
    for (int64_t i = 0; i < n; i += std::max<int64_t>(1, n / 9)) {
      for (int64_t j = 0; j < n; j += std::max<int64_t>(1, n / 7)) {
        double dot = 0;
        for (int64_t k = 0; k < n; ++k)
          dot += rows[static_cast<size_t>(i)][static_cast<size_t>(k)] *
                 rows[static_cast<size_t>(j)][static_cast<size_t>(k)];
        EXPECT_NEAR(dot, i == j, 1e-12) << n;
      }
    }
  }
}

TEST_F(Fold, RotatedModelsComputeTheSame) {
  for (const TinyModel& model : {TinyModel{.dim = 48, .ffn = 80, .dtype = DType::f16}, TinyModel{.dim = 64, .ffn = 96},
                                 TinyModel{.dim = 72, .ffn = 40, .experts = 3, .experts_used = 2}}) {
    const fs::path file = write(model);
    const auto source = *io::Checkpoint::open(file);
    const auto copy = rotate(source, dir_ / "rotated.gguf", {.threads = 2});
    ASSERT_TRUE(copy.ok()) << copy.error().str();
    EXPECT_LT(apart(file, copy->path()), 1e-4);
    const auto turned = *io::Checkpoint::open(copy->path());
    EXPECT_TRUE(turned.find("output.weight"));
    float first = 0;
    format(DType::f32).decode(turned.find("blk.0.attn_norm.weight")->data, &first, 1);
    EXPECT_EQ(first, 1);
    // A quantised one of it runs, and says what it is.
    ASSERT_TRUE(
        quantize(turned, dir_ / "small.gguf", {.recipe = *Recipe::named("Q8_0"), .calibration = {}, .threads = 2})
            .ok());
    EXPECT_LT(apart(file, dir_ / "small.gguf"), 0.1);
    EXPECT_TRUE(io::Checkpoint::open(dir_ / "small.gguf")->meta().has("miao.quantize.rotated"));
  }
}

TEST_F(Fold, WhatCannotTurnIsSaid) {
  runtime::write_tiny_bert(dir_ / "bert");
  const auto bert = *io::Checkpoint::open(dir_ / "bert");
  const auto folder = rotate(bert, dir_ / "rotated.gguf", {});
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().code, Code::invalid);
  const auto copy = GgufCopy::of(bert, dir_ / "bert.gguf", {}, nullptr);
  ASSERT_TRUE(copy.ok()) << copy.error().str();
  const auto none = rotate(*io::Checkpoint::open(copy->path()), dir_ / "rotated.gguf", {});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::unsupported);
  EXPECT_NE(none.error().message.find("only decoders"), std::string::npos);
}

// Some columns of what attention reads are thirty times as large as others.
TEST_F(Fold, ScaledModelsComputeTheSame) {
  for (const TinyModel& model :
       {TinyModel{.dim = 64, .ffn = 96}, TinyModel{.dim = 96, .ffn = 64, .experts = 3, .experts_used = 2}}) {
    io::GgufBuilder builder = model.gguf();
    for (auto& tensor : builder.tensors) {
      if (!tensor.name.ends_with("attn_norm.weight")) continue;
      std::vector<float> weights(static_cast<size_t>(model.dim), 1.0f);
      for (size_t i = 3; i < weights.size(); i += 16) weights[i] = 30;
      tensor.data = io::pack_floats(DType::f32, weights);
    }
    const fs::path file = dir_ / "outliers.gguf";
    ASSERT_TRUE(builder.write(file).ok());
    const auto made = scaled(file, DType::q4_0);
    ASSERT_TRUE(made.ok()) << made.error().str();
    ASSERT_TRUE(made->has_value());
    EXPECT_LT(apart(file, (*made)->copy.path()), 1e-4);
    const Importance fresh = *importance_of((*made)->copy.path());
    for (const auto& [name, input] : fresh.inputs()) {
      const Importance::Input& told = (*made)->importance.inputs().at(name);
      for (size_t i = 0; i < input.sum2.size(); ++i)
        ASSERT_NEAR(told.sum2[i], input.sum2[i], 1e-4 * input.sum2[i] + 1e-9) << name;
    }
    // The same by quantize(), with text as with what was found on it.
    const Importance importance = *importance_of(file);
    const auto text = windows();
    QuantizeOptions options{.recipe = *Recipe::named("Q8_0"), .calibration = {}, .scale = true, .threads = 2};
    for (const bool known : {false, true}) {
      options.calibration = known ? std::span<const std::vector<int32_t>>() : text;
      options.importance = known ? &importance : nullptr;
      const auto done = quantize(*io::Checkpoint::open(file), dir_ / "small.gguf", options);
      ASSERT_TRUE(done.ok()) << done.error().str();
      EXPECT_TRUE(done->scaled);
      EXPECT_TRUE(io::Checkpoint::open(dir_ / "small.gguf")->meta().has("miao.quantize.scaled"));
      EXPECT_LT(apart(file, dir_ / "small.gguf"), 0.5);  // outliers make activations coarse
    }
  }
}

}  // namespace
}  // namespace miao::compress
