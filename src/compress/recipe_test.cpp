#include "compress/recipe.h"

#include <gtest/gtest.h>

#include <map>

namespace miao::compress {
namespace {

// The tensors of a decoder of `layers` blocks, all matrices (rows, cols), FFNs 4 * cols wide.
std::vector<Subject> decoder(int64_t layers, int64_t cols, bool tied) {
  std::vector<Subject> out{{"token_embd.weight", {1000, cols}, DType::f16, false}};
  for (int64_t i = 0; i < layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    for (const char* stem : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"}) {
      out.push_back({blk + stem + ".weight", {cols, cols}, DType::f16, false});
    }
    out.push_back({blk + "ffn_down.weight", {cols, 4 * cols}, DType::f16, false});
    out.push_back({blk + "attn_norm.weight", {cols}, DType::f32, true});
  }
  if (!tied) out.push_back({"output.weight", {1000, cols}, DType::f16, false});
  return out;
}

std::map<std::string, Choice> choose(const char* name, const std::vector<Subject>& subjects, const Anatomy& anatomy,
                                     const RecipeOptions& options = {}) {
  const auto recipe = Recipe::named(name);
  EXPECT_TRUE(recipe.ok()) << name;
  std::map<std::string, Choice> out;
  const auto choices = recipe->choose(subjects, anatomy, options);
  for (size_t i = 0; i < subjects.size(); ++i) out.emplace(subjects[i].name, choices[i]);
  return out;
}

// As llama-quantize names them for a Llama of 32 layers.
TEST(Recipe, TheMixesOfLargeModels) {
  const auto subjects = decoder(32, 4096, false);
  const Anatomy anatomy{.layers = 32, .heads_per_kv = 4};
  auto q4 = choose("q4_k_m", subjects, anatomy);
  EXPECT_EQ(q4.at("output.weight").dtype, DType::q6_k);
  EXPECT_EQ(q4.at("token_embd.weight").dtype, DType::q4_k);
  EXPECT_EQ(q4.at("blk.0.attn_q.weight").dtype, DType::q4_k);
  EXPECT_EQ(q4.at("blk.0.attn_norm.weight").dtype, DType::f32);
  int v = 0, down = 0;
  for (int i = 0; i < 32; ++i) {
    v += q4.at("blk." + std::to_string(i) + ".attn_v.weight").dtype == DType::q6_k;
    down += q4.at("blk." + std::to_string(i) + ".ffn_down.weight").dtype == DType::q6_k;
  }
  EXPECT_EQ(v, 16);
  EXPECT_EQ(down, 16);
  EXPECT_EQ(q4.at("blk.6.ffn_down.weight").dtype, DType::q6_k);  // (6 - 4) % 3 == 2
  EXPECT_EQ(q4.at("blk.5.ffn_down.weight").dtype, DType::q4_k);

  auto iq4 = choose("IQ4_XS", subjects, anatomy);
  EXPECT_EQ(iq4.at("blk.31.attn_v.weight").dtype, DType::q5_k);
  EXPECT_EQ(iq4.at("blk.3.ffn_down.weight").dtype, DType::q5_k);
  iq4 = choose("IQ4_XS", subjects, anatomy, {.importance = true});
  EXPECT_EQ(iq4.at("blk.3.ffn_down.weight").dtype, DType::iq4_xs);
  EXPECT_EQ(choose("Q4_0", subjects, anatomy).at("blk.3.ffn_down.weight").dtype, DType::q4_0);
  EXPECT_EQ(choose("Q4_0", subjects, anatomy, {.importance = true}).at("blk.3.ffn_down.weight").dtype, DType::q4_1);
  EXPECT_EQ(choose("Q4_0", subjects, anatomy, {.importance = true, .pure = true}).at("output.weight").dtype,
            DType::q4_0);
  EXPECT_EQ(choose("F16", subjects, anatomy).at("output.weight").dtype, DType::f16);
  EXPECT_EQ(choose("Q8_0", subjects, anatomy).at("token_embd.weight").dtype, DType::q8_0);
}

// 576 columns are not whole blocks of 256: what a small model's "Q4_K_M" really is.
TEST(Recipe, ShapesThatDoNotFitAreTold) {
  const auto q4 = choose("Q4_K_M", decoder(30, 576, true), {.layers = 30, .heads_per_kv = 3, .tied = true});
  EXPECT_EQ(q4.at("token_embd.weight").dtype, DType::q8_0);
  EXPECT_EQ(q4.at("blk.4.attn_q.weight").dtype, DType::q5_0);
  EXPECT_EQ(q4.at("blk.4.attn_q.weight").wished, DType::q4_k);
  EXPECT_EQ(q4.at("blk.0.attn_v.weight").dtype, DType::q8_0);
  EXPECT_EQ(q4.at("blk.4.ffn_down.weight").dtype, DType::q4_k);  // 2304 columns
  EXPECT_EQ(choose("Q4_K_M", decoder(1, 40, true), {.layers = 1}).at("blk.0.attn_q.weight").dtype, DType::f16);
  EXPECT_EQ(fitting(DType::q5_k, 96), DType::q5_1);
  EXPECT_EQ(fitting(DType::iq4_xs, 96), DType::iq4_nl);
  EXPECT_EQ(fitting(DType::q2_k, 96), DType::q4_0);
  EXPECT_EQ(fitting(DType::q4_0, 33), DType::f16);
}

TEST(Recipe, Experts) {
  std::vector<Subject> subjects{{"blk.0.attn_v.weight", {256, 256}, DType::f16, false},
                                {"blk.0.attn_output.weight", {256, 256}, DType::f16, false},
                                {"blk.0.ffn_down_exps.weight", {8, 256, 512}, DType::f16, false}};
  const Anatomy anatomy{.layers = 4, .heads_per_kv = 4, .experts = 8};
  const auto q4 = choose("Q4_K_S", subjects, anatomy);
  EXPECT_EQ(q4.at("blk.0.attn_v.weight").dtype, DType::q8_0);
  EXPECT_EQ(q4.at("blk.0.attn_output.weight").dtype, DType::q5_k);
  const auto mx = choose("MXFP4_MOE", subjects, anatomy);
  EXPECT_EQ(mx.at("blk.0.ffn_down_exps.weight").dtype, DType::mxfp4);
  EXPECT_EQ(mx.at("blk.0.attn_v.weight").dtype, DType::q8_0);
}

TEST(Recipe, Overrides) {
  const auto subjects = decoder(4, 256, true);
  const RecipeOptions options{.overrides = {*parse_override("blk.[01].ffn_*=Q8_0"), *parse_override("ffn_up=q6_k")}};
  const auto got = choose("Q4_0", subjects, {.layers = 4}, options);
  EXPECT_EQ(got.at("blk.1.ffn_up.weight").dtype, DType::q8_0);
  EXPECT_EQ(got.at("blk.2.ffn_up.weight").dtype, DType::q6_k);
  EXPECT_EQ(got.at("blk.2.ffn_down.weight").dtype, DType::q4_0);
  EXPECT_EQ(got.at("blk.1.attn_norm.weight").dtype, DType::f32);
  for (const char* bad : {"", "=Q8_0", "ffn_up", "ffn_up=Q9", "ffn_up=I32"})
    EXPECT_FALSE(parse_override(bad).ok()) << bad;
}

TEST(Recipe, UnknownNamesListTheKnown) {
  const auto recipe = Recipe::named("Q7_K");
  ASSERT_FALSE(recipe.ok());
  EXPECT_NE(recipe.error().message.find("Q4_K_M"), std::string::npos);
  EXPECT_EQ(Recipe::named("fp16")->name(), "F16");
  for (const std::string_view name : Recipe::names()) EXPECT_EQ(Recipe::named(name)->name(), name);
}

}  // namespace
}  // namespace miao::compress
