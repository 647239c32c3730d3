// A tiny random encoder of the kin of BERT as Hugging Face keeps it, with rows that all block formats of 32 fit.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "io/safetensors_writer.h"

namespace miao::runtime {

// Writes `folder`. `classes`: 0 = without a head, which gives vectors.
inline void write_tiny_bert(const std::filesystem::path& folder, int classes = 0, bool mean_pool = true) {
  namespace fs = std::filesystem;
  constexpr int64_t kDim = 64, kFfn = 96, kLayers = 2, kVocab = 131, kPositions = 64;
  fs::create_directories(folder / "1_Pooling");
  const std::string head = classes > 0 ? "bert." : "";
  std::string labels;
  for (int i = 0; i < classes; ++i)
    labels += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"class " + std::to_string(i) + "\"";
  const auto put = [&](const char* name, const std::string& text) {
    EXPECT_TRUE(write_file_atomic(folder / name, text).ok());
  };
  put("config.json", std::string(R"({"architectures":[")") +
                         (classes > 0 ? "BertForSequenceClassification" : "BertModel") +
                         R"("],"model_type":"bert","hidden_act":"gelu","hidden_size":64,"intermediate_size":96,)"
                         R"("layer_norm_eps":1e-12,"max_position_embeddings":64,"num_attention_heads":2,)"
                         R"("num_hidden_layers":2,"type_vocab_size":2,"vocab_size":131,"pad_token_id":0)" +
                         (classes > 0 ? ",\"id2label\":{" + labels + "}" : "") + "}");
  if (classes == 0) {
    put("modules.json", R"([{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},)"
                        R"({"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}])");
    put("1_Pooling/config.json", std::string(R"({"word_embedding_dimension":64,"pooling_mode_cls_token":)") +
                                     (mean_pool ? "false" : "true") + R"(,"pooling_mode_mean_tokens":)" +
                                     (mean_pool ? "true" : "false") + "}");
  }
  fs::copy_file(fs::path(MIAO_SOURCE_DIR) / "tests/golden/tasks/tokenizer.json", folder / "tokenizer.json",
                fs::copy_options::overwrite_existing);
  std::vector<io::TensorInfo> tensors;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    tensors.push_back({name, DType::f32, std::move(shape)});
  };
  const auto linear = [&](const std::string& name, int64_t rows, int64_t cols) {
    add(name + ".weight", {rows, cols});
    add(name + ".bias", {rows});
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".LayerNorm.weight", {kDim});
    add(name + ".LayerNorm.bias", {kDim});
  };
  add(head + "embeddings.word_embeddings.weight", {kVocab, kDim});
  add(head + "embeddings.position_embeddings.weight", {kPositions, kDim});
  add(head + "embeddings.token_type_embeddings.weight", {2, kDim});
  norm(head + "embeddings");
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = head + "encoder.layer." + std::to_string(i) + ".";
    for (const char* part : {"query", "key", "value"}) linear(layer + "attention.self." + part, kDim, kDim);
    linear(layer + "attention.output.dense", kDim, kDim);
    norm(layer + "attention.output");
    linear(layer + "intermediate.dense", kFfn, kDim);
    linear(layer + "output.dense", kDim, kFfn);
    norm(layer + "output");
  }
  if (classes > 0) {
    linear("bert.pooler.dense", kDim, kDim);
    linear("classifier", classes, kDim);
  }
  auto file = io::SafetensorsWriter::create(folder / "model.safetensors", {}, tensors);
  ASSERT_TRUE(file.ok()) << file.error().str();
  std::mt19937 random(5);
  for (const io::TensorInfo& t : tensors) {
    int64_t n = 1;
    for (const int64_t d : t.shape) n *= d;
    const bool ones = t.name.ends_with("LayerNorm.weight"), table = t.name.find("embeddings.") != std::string::npos;
    const double size = t.shape.size() < 2 ? 0.05 : table ? 1.0 : 2 / std::sqrt(static_cast<double>(t.shape.back()));
    std::vector<float> values;
    for (int64_t i = 0; i < n; ++i) {
      const double u = static_cast<double>(random()) / 4294967295.0 * 2 - 1;
      values.push_back(static_cast<float>((ones ? 1 : 0) + size * u));
    }
    ASSERT_TRUE(file->write(t.name, std::as_bytes(std::span(values))).ok());
  }
  ASSERT_TRUE(file->finish().ok());
  ASSERT_TRUE(file->commit().ok());
}

}  // namespace miao::runtime
