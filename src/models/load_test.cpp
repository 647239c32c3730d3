// Checkpoints that are wrong in one place each, made from good tiny ones: every one must give an Error that names the
// place, never a crash or a model that answers nonsense.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/cpu.h"
#include "base/file.h"
#include "io/testing.h"
#include "kernels/kernels.h"
#include "models/model.h"
#include "models/testing.h"

namespace miao::models {
namespace {

class Loader {
 public:
  Loader() : table_(*kernels::select(cpu_features(), "scalar")) {}

  Result<std::unique_ptr<Model>> load(const std::filesystem::path& path) {
    MIAO_TRY(io::Checkpoint checkpoint, io::Checkpoint::open(path));
    checkpoint_ = std::make_unique<io::Checkpoint>(std::move(checkpoint));
    return Model::load(*checkpoint_, {}, {*table_, *pool_});
  }

 private:
  const kernels::Kernels* table_;
  std::unique_ptr<ThreadPool> pool_ = *ThreadPool::create(1);
  std::unique_ptr<io::Checkpoint> checkpoint_;
};

void expect_error(const Result<std::unique_ptr<Model>>& result, Code code, std::string_view words) {
  ASSERT_FALSE(result.ok()) << "loaded";
  const std::string text = result.error().str();
  EXPECT_EQ(result.error().code, code) << text;
  EXPECT_NE(text.find(words), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

// ---------------------------------------------------------------- GGUF

using Builder = io::GgufBuilder;

template <class T>
void set_key(Builder& b, const std::string& name, T value) {
  std::erase_if(b.keys, [&](const Builder::Key& k) { return k.name == name; });
  b.key(name, value);
}
void drop_key(Builder& b, const std::string& name) {
  ASSERT_EQ(std::erase_if(b.keys, [&](const Builder::Key& k) { return k.name == name; }), 1u);
}
void drop_tensor(Builder& b, const std::string& name) {
  ASSERT_EQ(std::erase_if(b.tensors, [&](const Builder::Tensor& t) { return t.name == name; }), 1u);
}
void set_tensor(Builder& b, const std::string& name, const std::vector<int64_t>& shape, DType dtype = DType::f32) {
  std::erase_if(b.tensors, [&](const Builder::Tensor& t) { return t.name == name; });
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  b.tensor(name, dtype, shape, std::string(static_cast<size_t>(row_bytes(dtype, n)), '\0'));
}

struct GgufCase {
  const char* name;
  Code code;
  const char* words;  // in the Error
  std::function<void(Builder&)> spoil;
};

const GgufCase kGgufCases[] = {
    {"no architecture", Code::not_found, "general.architecture",
     [](Builder& b) { drop_key(b, "general.architecture"); }},
    {"other architecture", Code::unsupported, "gguf:rwkv7",
     [](Builder& b) { set_key(b, "general.architecture", "rwkv7"); }},
    {"architecture is a number", Code::invalid, "general.architecture",
     [](Builder& b) { set_key(b, "general.architecture", 3u); }},
    {"no layers key", Code::not_found, "llama.block_count", [](Builder& b) { drop_key(b, "llama.block_count"); }},
    {"no layers", Code::invalid, "llama.block_count", [](Builder& b) { set_key(b, "llama.block_count", 0u); }},
    {"a billion layers", Code::invalid, "llama.block_count",
     [](Builder& b) { set_key(b, "llama.block_count", 1000000000u); }},
    {"more layers than tensors", Code::not_found, "blk.2.", [](Builder& b) { set_key(b, "llama.block_count", 3u); }},
    {"fewer layers than tensors", Code::unsupported, "blk.1.", [](Builder& b) { set_key(b, "llama.block_count", 1u); }},
    {"layers as text", Code::invalid, "llama.block_count", [](Builder& b) { set_key(b, "llama.block_count", "two"); }},
    {"layers as fraction", Code::invalid, "llama.block_count",
     [](Builder& b) { set_key(b, "llama.block_count", 2.5f); }},
    {"negative layers", Code::invalid, "llama.block_count",
     [](Builder& b) { set_key(b, "llama.block_count", int32_t{-2}); }},
    {"dim 0", Code::invalid, "embedding_length", [](Builder& b) { set_key(b, "llama.embedding_length", 0u); }},
    {"dim huge", Code::invalid, "embedding_length",
     [](Builder& b) { set_key(b, "llama.embedding_length", 0xffffffffu); }},
    {"dim wrong", Code::invalid, "token_embd.weight", [](Builder& b) { set_key(b, "llama.embedding_length", 64u); }},
    {"ffn 0", Code::invalid, "feed_forward_length", [](Builder& b) { set_key(b, "llama.feed_forward_length", 0u); }},
    {"ffn wrong", Code::invalid, "blk.0.ffn_gate.weight",
     [](Builder& b) { set_key(b, "llama.feed_forward_length", 65u); }},
    {"ffn per layer", Code::invalid, "feed_forward_length",
     [](Builder& b) {
       drop_key(b, "llama.feed_forward_length");
       b.array<uint32_t>("llama.feed_forward_length", {64, 64});
     }},
    {"heads 0", Code::invalid, "attention.head_count",
     [](Builder& b) { set_key(b, "llama.attention.head_count", 0u); }},
    {"heads wrong", Code::invalid, "blk.0.attn_q.weight",
     [](Builder& b) { set_key(b, "llama.attention.head_count", 8u); }},
    {"kv heads do not divide", Code::invalid, "head_count_kv",
     [](Builder& b) { set_key(b, "llama.attention.head_count_kv", 3u); }},
    {"kv heads 0", Code::invalid, "head_count_kv", [](Builder& b) { set_key(b, "llama.attention.head_count_kv", 0u); }},
    {"more kv heads than heads", Code::invalid, "head_count_kv",
     [](Builder& b) { set_key(b, "llama.attention.head_count_kv", 8u); }},
    {"odd head size", Code::invalid, "key_length", [](Builder& b) { set_key(b, "llama.attention.key_length", 7u); }},
    {"head size 0", Code::invalid, "key_length", [](Builder& b) { set_key(b, "llama.attention.key_length", 0u); }},
    {"head size huge", Code::invalid, "key_length",
     [](Builder& b) { set_key(b, "llama.attention.key_length", 100000u); }},
    {"values of another size", Code::unsupported, "value_length",
     [](Builder& b) { set_key(b, "llama.attention.value_length", 16u); }},
    {"heads do not divide dim", Code::invalid, "head_count",
     [](Builder& b) {
       drop_key(b, "llama.attention.key_length");
       set_key(b, "llama.attention.head_count", 6u);
     }},
    {"rotation longer than head", Code::invalid, "dimension_count",
     [](Builder& b) { set_key(b, "llama.rope.dimension_count", 16u); }},
    {"rotation odd", Code::invalid, "dimension_count",
     [](Builder& b) { set_key(b, "llama.rope.dimension_count", 5u); }},
    {"context 0", Code::invalid, "context_length", [](Builder& b) { set_key(b, "llama.context_length", 0u); }},
    {"no context", Code::not_found, "context_length", [](Builder& b) { drop_key(b, "llama.context_length"); }},
    {"eps NaN", Code::invalid, "layer_norm_rms_epsilon",
     [](Builder& b) { set_key(b, "llama.attention.layer_norm_rms_epsilon", std::nanf("")); }},
    {"eps negative", Code::invalid, "layer_norm_rms_epsilon",
     [](Builder& b) { set_key(b, "llama.attention.layer_norm_rms_epsilon", -1e-5f); }},
    {"eps missing", Code::not_found, "layer_norm_rms_epsilon",
     [](Builder& b) { drop_key(b, "llama.attention.layer_norm_rms_epsilon"); }},
    {"theta infinite", Code::invalid, "rope.freq_base",
     [](Builder& b) { set_key(b, "llama.rope.freq_base", INFINITY); }},
    {"theta 0", Code::invalid, "rope.freq_base", [](Builder& b) { set_key(b, "llama.rope.freq_base", 0.0f); }},
    {"theta 1 for yarn", Code::invalid, "rope.freq_base",
     [](Builder& b) {
       set_key(b, "llama.rope.freq_base", 1.0f);
       set_key(b, "llama.rope.scaling.type", "yarn");
     }},
    {"yarn that divides by nothing", Code::invalid, "yarn_log_multiplier",
     [](Builder& b) {
       set_key(b, "llama.rope.scaling.type", "yarn");
       set_key(b, "llama.rope.scaling.factor", 8.0f);
       set_key(b, "llama.rope.scaling.yarn_log_multiplier", -100.0f);
     }},
    {"unknown scaling", Code::unsupported, "rope.scaling.type",
     [](Builder& b) { set_key(b, "llama.rope.scaling.type", "magic"); }},
    {"scaling NaN", Code::invalid, "rope.scaling.factor",
     [](Builder& b) { set_key(b, "llama.rope.scaling.factor", std::nanf("")); }},
    {"longrope without factors", Code::not_found, "rope_factors_short",
     [](Builder& b) { set_key(b, "llama.rope.scaling.type", "longrope"); }},
    {"rope_freqs of wrong length", Code::invalid, "rope_freqs.weight",
     [](Builder& b) { set_tensor(b, "rope_freqs.weight", {3}); }},
    {"rope_freqs of zeros", Code::invalid, "rope_freqs.weight",
     [](Builder& b) { set_tensor(b, "rope_freqs.weight", {4}); }},
    {"experts without their number used", Code::not_found, "expert_used_count",
     [](Builder& b) { set_key(b, "llama.expert_count", 8u); }},
    {"more experts used than there are", Code::invalid, "expert_used_count",
     [](Builder& b) {
       set_key(b, "llama.expert_count", 8u);
       set_key(b, "llama.expert_used_count", 9u);
     }},
    {"experts without a router", Code::not_found, "blk.0.ffn_gate_inp.weight",
     [](Builder& b) {
       set_key(b, "llama.expert_count", 8u);
       set_key(b, "llama.expert_used_count", 2u);
     }},
    {"too many experts", Code::invalid, "expert_count", [](Builder& b) { set_key(b, "llama.expert_count", 100000u); }},
    {"vocabulary unlike the embedding", Code::invalid, "token_embd.weight",
     [](Builder& b) { set_key(b, "llama.vocab_size", 47u); }},
    {"vocabulary 0", Code::invalid, "vocab_size", [](Builder& b) { set_key(b, "llama.vocab_size", 0u); }},
    {"no embedding", Code::not_found, "token_embd.weight", [](Builder& b) { drop_tensor(b, "token_embd.weight"); }},
    {"embedding of integers", Code::unsupported, "token_embd.weight",
     [](Builder& b) {
       set_tensor(b, "token_embd.weight", {48, 32}, DType::i32);
     }},
    {"embedding a vector", Code::invalid, "token_embd.weight",
     [](Builder& b) { set_tensor(b, "token_embd.weight", {48 * 32}); }},
    {"output of wrong shape", Code::invalid, "output.weight",
     [](Builder& b) {
       set_tensor(b, "output.weight", {47, 32});
     }},
    {"no final norm", Code::not_found, "output_norm.weight", [](Builder& b) { drop_tensor(b, "output_norm.weight"); }},
    {"norm of wrong length", Code::invalid, "blk.1.attn_norm.weight",
     [](Builder& b) { set_tensor(b, "blk.1.attn_norm.weight", {31}); }},
    {"norm quantised", Code::unsupported, "blk.1.attn_norm.weight",
     [](Builder& b) { set_tensor(b, "blk.1.attn_norm.weight", {32}, DType::q8_0); }},
    {"q missing", Code::not_found, "blk.0.attn_q.weight", [](Builder& b) { drop_tensor(b, "blk.0.attn_q.weight"); }},
    {"k transposed", Code::invalid, "blk.0.attn_k.weight",
     [](Builder& b) {
       set_tensor(b, "blk.0.attn_k.weight", {32, 16});
     }},
    {"v with a third axis", Code::invalid, "blk.0.attn_v.weight",
     [](Builder& b) {
       set_tensor(b, "blk.0.attn_v.weight", {1, 16, 32});
     }},
    {"o missing", Code::not_found, "blk.1.attn_output.weight",
     [](Builder& b) { drop_tensor(b, "blk.1.attn_output.weight"); }},
    {"up of wrong shape", Code::invalid, "blk.0.ffn_up.weight",
     [](Builder& b) {
       set_tensor(b, "blk.0.ffn_up.weight", {63, 32});
     }},
    {"down missing", Code::not_found, "blk.1.ffn_down.weight",
     [](Builder& b) { drop_tensor(b, "blk.1.ffn_down.weight"); }},
    {"weights of doubles", Code::unsupported, "blk.0.ffn_down.weight",
     [](Builder& b) {
       set_tensor(b, "blk.0.ffn_down.weight", {32, 64}, DType::f64);
     }},
    {"a bias on one layer only", Code::not_found, "blk.1.attn_q.bias",
     [](Builder& b) {
       set_tensor(b, "blk.0.attn_q.bias", {32});
       set_tensor(b, "blk.0.attn_k.bias", {16});
       set_tensor(b, "blk.0.attn_v.bias", {16});
     }},
    {"bias of wrong length", Code::invalid, "blk.0.attn_q.bias",
     [](Builder& b) { set_tensor(b, "blk.0.attn_q.bias", {31}); }},
    {"a tensor nobody reads", Code::unsupported, "blk.1.ffn_gate_inp.weight",
     [](Builder& b) {
       set_tensor(b, "blk.1.ffn_gate_inp.weight", {8, 32});
     }},
};

TEST(Load, GoodGguf) {
  const io::TempDir dir;
  ASSERT_TRUE(TinyModel().gguf().write(dir / "m.gguf").ok());
  auto model = Loader().load(dir / "m.gguf");
  ASSERT_TRUE(model.ok()) << model.error().str();
  const ModelSpec& s = (*model)->spec();
  EXPECT_EQ(s.family, "llama");
  EXPECT_EQ(s.name, "tiny");
  EXPECT_EQ(s.vocab, 48);
  EXPECT_TRUE(s.block.attn.interleaved);
  EXPECT_FALSE(s.tied);
  EXPECT_EQ((*model)->kv(), kernels::KvType::f32);
  EXPECT_EQ((*model)->ctx(), 512);
}

TEST(Load, BadGguf) {
  const io::TempDir dir;
  for (const GgufCase& c : kGgufCases) {
    SCOPED_TRACE(c.name);
    Builder b = TinyModel().gguf();
    c.spoil(b);
    ASSERT_TRUE(b.write(dir / "m.gguf").ok());
    Loader loader;
    expect_error(loader.load(dir / "m.gguf"), c.code, c.words);
  }
}

// ---------------------------------------------------------------- Hugging Face

// A configuration that is a JSON object, as key and JSON text of the value.
using Config = std::vector<std::pair<std::string, std::string>>;

Config qwen3_config() {
  return {{"architectures", R"(["Qwen3ForCausalLM"])"},
          {"vocab_size", "40"},
          {"hidden_size", "32"},
          {"intermediate_size", "48"},
          {"num_hidden_layers", "2"},
          {"num_attention_heads", "4"},
          {"num_key_value_heads", "2"},
          {"head_dim", "16"},
          {"max_position_embeddings", "256"},
          {"rms_norm_eps", "1e-6"},
          {"hidden_act", R"("silu")"},
          {"tie_word_embeddings", "true"}};
}

std::string json(const Config& config) {
  std::string out;
  for (const auto& [key, value] : config) out += (out.empty() ? "{\"" : ",\"") + key + "\":" + value;
  return out + "}";
}

void set(Config& config, const std::string& key, std::string value) {
  std::erase_if(config, [&](const auto& entry) { return entry.first == key; });
  config.emplace_back(key, std::move(value));
}
void drop(Config& config, const std::string& key) {
  ASSERT_EQ(std::erase_if(config, [&](const auto& entry) { return entry.first == key; }), 1u);
}

io::SafetensorsBuilder qwen3_tensors(const std::string& prefix = "model.") {
  io::SafetensorsBuilder b;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    b.tensor(prefix + name + ".weight", shape, std::vector<float>(static_cast<size_t>(n), 0.125f));
  };
  add("embed_tokens", {40, 32});
  add("norm", {32});
  for (int i = 0; i < 2; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm", {32});
    add(layer + "self_attn.q_proj", {64, 32});
    add(layer + "self_attn.k_proj", {32, 32});
    add(layer + "self_attn.v_proj", {32, 32});
    add(layer + "self_attn.o_proj", {32, 64});
    add(layer + "self_attn.q_norm", {16});
    add(layer + "self_attn.k_norm", {16});
    add(layer + "post_attention_layernorm", {32});
    add(layer + "mlp.gate_proj", {48, 32});
    add(layer + "mlp.up_proj", {48, 32});
    add(layer + "mlp.down_proj", {32, 48});
  }
  return b;
}

struct HfCase {
  const char* name;
  Code code;
  const char* words;
  std::function<void(Config&)> spoil;
};

const HfCase kHfCases[] = {
    {"no architectures", Code::not_found, "architectures", [](Config& c) { drop(c, "architectures"); }},
    {"two architectures", Code::invalid, "architectures", [](Config& c) { set(c, "architectures", R"(["A","B"])"); }},
    {"unknown architecture", Code::unsupported, "Qwen9ForCausalLM",
     [](Config& c) { set(c, "architectures", R"(["Qwen9ForCausalLM"])"); }},
    {"no vocabulary", Code::not_found, "vocab_size", [](Config& c) { drop(c, "vocab_size"); }},
    {"vocabulary unlike the embedding", Code::invalid, "embed_tokens", [](Config& c) { set(c, "vocab_size", "41"); }},
    {"heads 0", Code::invalid, "num_attention_heads", [](Config& c) { set(c, "num_attention_heads", "0"); }},
    {"kv heads do not divide", Code::invalid, "num_key_value_heads",
     [](Config& c) { set(c, "num_key_value_heads", "3"); }},
    {"odd head_dim", Code::invalid, "head_dim", [](Config& c) { set(c, "head_dim", "15"); }},
    {"head_dim as text", Code::invalid, "head_dim", [](Config& c) { set(c, "head_dim", "\"16\""); }},
    {"eps 0", Code::invalid, "rms_norm_eps", [](Config& c) { set(c, "rms_norm_eps", "0"); }},
    {"unknown activation", Code::unsupported, "hidden_act", [](Config& c) { set(c, "hidden_act", "\"laplace\""); }},
    {"untied without lm_head", Code::not_found, "lm_head.weight",
     [](Config& c) { set(c, "tie_word_embeddings", "false"); }},
    {"tied as number", Code::invalid, "tie_word_embeddings", [](Config& c) { set(c, "tie_word_embeddings", "1"); }},
    {"bias without tensors", Code::not_found, "q_proj.bias", [](Config& c) { set(c, "attention_bias", "true"); }},
    {"quantised by another library", Code::unsupported, "quantization_config",
     [](Config& c) { set(c, "quantization_config", R"({"quant_method":"awq"})"); }},
    {"experts", Code::unsupported, "num_experts", [](Config& c) { set(c, "num_experts", "64"); }},
    {"negative window", Code::invalid, "sliding_window",
     [](Config& c) {
       set(c, "use_sliding_window", "true");
       set(c, "sliding_window", "-5");
     }},
    {"layer_types too short", Code::invalid, "layer_types",
     [](Config& c) {
       set(c, "use_sliding_window", "true");
       set(c, "layer_types", R"(["full_attention"])");
     }},
    {"layer_types unknown", Code::unsupported, "linear_attention",
     [](Config& c) {
       set(c, "use_sliding_window", "true");
       set(c, "layer_types", R"(["full_attention","linear_attention"])");
     }},
    {"rope type unknown", Code::unsupported, "rope_scaling.rope_type",
     [](Config& c) { set(c, "rope_scaling", R"({"rope_type":"magic","factor":2})"); }},
    {"rope factor missing", Code::invalid, "rope_scaling.factor",
     [](Config& c) { set(c, "rope_scaling", R"({"rope_type":"linear"})"); }},
    {"rope factor 0", Code::invalid, "rope_parameters.factor",
     [](Config& c) { set(c, "rope_parameters", R"({"rope_type":"linear","factor":0,"rope_theta":1e4})"); }},
    {"llama3 factors swapped", Code::invalid, "high_freq_factor",
     [](Config& c) {
       set(c, "rope_scaling", R"({"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":1})");
     }},
    {"longrope of wrong length", Code::invalid, "short_factor",
     [](Config& c) { set(c, "rope_scaling", R"({"type":"longrope","short_factor":[1,1],"long_factor":[2,2]})"); }},
    {"rope theta 1 for yarn", Code::invalid, "rope_parameters.rope_theta",
     [](Config& c) { set(c, "rope_parameters", R"({"rope_type":"yarn","factor":2,"rope_theta":1})"); }},
    {"rope theta 1 beside yarn", Code::invalid, "'rope_theta'",
     [](Config& c) {
       set(c, "rope_theta", "1");
       set(c, "rope_scaling", R"({"rope_type":"yarn","factor":2})");
     }},
    {"rope theta negative", Code::invalid, "rope_theta", [](Config& c) { set(c, "rope_theta", "-1"); }},
    {"rotation share 0", Code::invalid, "partial_rotary_factor",
     [](Config& c) { set(c, "partial_rotary_factor", "0"); }},
    {"rotation share 2", Code::invalid, "partial_rotary_factor",
     [](Config& c) { set(c, "partial_rotary_factor", "2"); }},
    {"layers 0", Code::invalid, "num_hidden_layers", [](Config& c) { set(c, "num_hidden_layers", "0"); }},
    {"layers left over", Code::unsupported, "model.layers.1.", [](Config& c) { set(c, "num_hidden_layers", "1"); }},
    {"context huge", Code::invalid, "max_position_embeddings",
     [](Config& c) { set(c, "max_position_embeddings", "99999999999"); }},
};

void write_hf(const std::filesystem::path& dir, const Config& config, const io::SafetensorsBuilder& tensors) {
  ASSERT_TRUE(write_file_atomic(dir / "config.json", json(config)).ok());
  ASSERT_TRUE(tensors.write(dir / "model.safetensors").ok());
}

TEST(Load, GoodHuggingFace) {
  for (const char* prefix : {"model.", "", "language_model.model.", "model.language_model."}) {
    const io::TempDir dir;
    write_hf(dir.path(), qwen3_config(), qwen3_tensors(prefix));
    Loader loader;
    auto model = loader.load(dir.path());
    ASSERT_TRUE(model.ok()) << prefix << model.error().str();
    EXPECT_EQ((*model)->spec().family, "qwen3");
    EXPECT_TRUE((*model)->spec().tied);
    EXPECT_TRUE((*model)->spec().block.attn.qk_norm != AttentionSpec::QkNorm::none);
    EXPECT_FALSE((*model)->spec().block.attn.interleaved);
  }
}

TEST(Load, BadHuggingFace) {
  const io::TempDir dir;
  for (const HfCase& c : kHfCases) {
    SCOPED_TRACE(c.name);
    Config config = qwen3_config();
    c.spoil(config);
    write_hf(dir.path(), config, qwen3_tensors());
    Loader loader;
    expect_error(loader.load(dir.path()), c.code, c.words);
  }
}

// Hyper-parameters that change the spec.
struct SpecCase {
  const char* name;
  std::function<void(Config&)> change;
  std::function<bool(const ModelSpec&)> holds;
};

const SpecCase kSpecCases[] = {
    {"rope_theta at the top", [](Config& c) { set(c, "rope_theta", "5e5"); },
     [](const ModelSpec& s) { return s.rope.theta == 5e5; }},
    {"rope_parameters", [](Config& c) { set(c, "rope_parameters", R"({"rope_type":"default","rope_theta":7e5})"); },
     [](const ModelSpec& s) { return s.rope.theta == 7e5 && s.rope.scaling == RopeSpec::Scaling::none; }},
    {"rope_scaling with the old key 'type'",
     [](Config& c) { set(c, "rope_scaling", R"({"type":"linear","factor":2.5})"); },
     [](const ModelSpec& s) { return s.rope.factor == 2.5 && s.rope.scaling == RopeSpec::Scaling::linear; }},
    {"yarn without a factor",
     [](Config& c) { set(c, "rope_scaling", R"({"rope_type":"yarn","original_max_position_embeddings":64})"); },
     [](const ModelSpec& s) { return s.rope.factor == 4 && s.rope.original_ctx == 64; }},
    {"partial rotation", [](Config& c) { set(c, "partial_rotary_factor", "0.5"); },
     [](const ModelSpec& s) { return s.block.attn.rotary_dim == 8; }},
    {"window off", [](Config& c) { set(c, "sliding_window", "16"); },
     [](const ModelSpec& s) { return s.window == 0 && !s.sliding[0] && !s.sliding[1]; }},
    {"window on upper layers",
     [](Config& c) {
       set(c, "use_sliding_window", "true");
       set(c, "sliding_window", "16");
       set(c, "max_window_layers", "1");
     },
     [](const ModelSpec& s) { return s.window == 16 && !s.sliding[0] && s.sliding[1]; }},
    {"window by layer_types",
     [](Config& c) {
       set(c, "use_sliding_window", "true");
       set(c, "sliding_window", "16");
       set(c, "layer_types", R"(["sliding_attention","full_attention"])");
     },
     [](const ModelSpec& s) { return s.sliding[0] && !s.sliding[1]; }},
    {"scale", [](Config&) {}, [](const ModelSpec& s) { return s.block.attn.scale == 0.25 && s.final_softcap == 0; }},
};

TEST(Load, HyperParameters) {
  const io::TempDir dir;
  for (const SpecCase& c : kSpecCases) {
    SCOPED_TRACE(c.name);
    Config config = qwen3_config();
    c.change(config);
    write_hf(dir.path(), config, qwen3_tensors());
    Loader loader;
    auto model = loader.load(dir.path());
    ASSERT_TRUE(model.ok()) << model.error().str();
    EXPECT_TRUE(c.holds((*model)->spec()));
  }
}

// The text part of a multimodal Gemma 3: nested keys, most of them left out, and tensors of another tower beside it.
TEST(Load, NestedGemma3) {
  const io::TempDir dir;
  const Config config = {{"architectures", R"(["Gemma3ForConditionalGeneration"])"},
                         {"text_config", R"({"hidden_size":32,"intermediate_size":16,"model_type":"gemma3_text",
                             "num_hidden_layers":7,"rope_scaling":{"factor":8.0,"rope_type":"linear"},
                             "sliding_window":64,"head_dim":8,"num_key_value_heads":2,"vocab_size":40})"},
                         {"vision_config", R"({"hidden_size":1152,"num_hidden_layers":27})"}};
  io::SafetensorsBuilder b;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    b.tensor(name + ".weight", shape, std::vector<float>(static_cast<size_t>(n), 0.125f));
  };
  add("vision_tower.layers.0.mlp.fc1", {4, 4});
  add("language_model.model.embed_tokens", {40, 32});
  add("language_model.model.norm", {32});
  for (int i = 0; i < 7; ++i) {
    const std::string layer = "language_model.model.layers." + std::to_string(i) + ".";
    for (const char* norm :
         {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"}) {
      add(layer + norm, {32});
    }
    add(layer + "self_attn.q_proj", {64, 32});
    add(layer + "self_attn.k_proj", {16, 32});
    add(layer + "self_attn.v_proj", {16, 32});
    add(layer + "self_attn.o_proj", {32, 64});
    add(layer + "self_attn.q_norm", {8});
    add(layer + "self_attn.k_norm", {8});
    add(layer + "mlp.gate_proj", {16, 32});
    add(layer + "mlp.up_proj", {16, 32});
    add(layer + "mlp.down_proj", {32, 16});
  }
  write_hf(dir.path(), config, b);
  Loader loader;
  auto model = loader.load(dir.path());
  ASSERT_TRUE(model.ok()) << model.error().str();
  const ModelSpec& s = (*model)->spec();
  EXPECT_EQ(s.family, "gemma3");
  EXPECT_EQ(s.block.attn.heads, 8);
  EXPECT_EQ(s.ctx, 131072);
  EXPECT_EQ(s.rope.theta, 1e6);
  EXPECT_EQ(s.rope.factor, 8);
  EXPECT_EQ(s.local_rope.theta, 1e4);
  EXPECT_EQ(s.local_rope.scaling, RopeSpec::Scaling::none);
  EXPECT_EQ(s.sliding, (std::vector<bool>{true, true, true, true, true, false, true}));
  EXPECT_EQ(s.window, 64);
  EXPECT_EQ(s.block.attn.scale, 1.0 / 16);
  EXPECT_TRUE(s.tied && s.norm_plus_one && s.block.post_norms);
  EXPECT_EQ(s.block.attn.qk_norm, AttentionSpec::QkNorm::head);
  EXPECT_EQ(s.block.ffn.act, kernels::Act::gelu_tanh);
}

TEST(Load, SupportedArchitectures) {
  const auto names = supported_architectures();
  for (const char* name :
       {"LlamaForCausalLM", "gguf:llama", "MistralForCausalLM", "gguf:qwen2", "Qwen3ForCausalLM", "gguf:gemma3"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
}

// Two terabytes of weights, none of them written: a sparse file.
TEST(Load, WeightsThatDoNotFitAreRefusedUnread) {
  constexpr int64_t kTinyDim = 16, kTinyFfn = 64;
  constexpr uint64_t kDim = 4096, kFfn = 1 << 20;
  Builder b = TinyModel{.dim = kTinyDim, .ffn = kTinyFfn, .layers = 40, .kv_heads = 1}.gguf();
  set_key(b, "llama.embedding_length", static_cast<uint32_t>(kDim));
  set_key(b, "llama.feed_forward_length", static_cast<uint32_t>(kFfn));
  uint64_t end = 0;
  for (Builder::Tensor& tensor : b.tensors) {
    uint64_t bytes = sizeof(float);
    for (uint64_t& n : tensor.ne) {
      n = n == kTinyDim ? kDim : n == kTinyFfn ? kFfn : n;
      bytes *= n;
    }
    tensor.data.clear();
    tensor.offset = end;
    end += bytes;
  }
  const io::TempDir dir;
  const std::filesystem::path path = dir / "sparse.gguf";
  ASSERT_TRUE(b.write(path).ok());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + end);
  Loader loader;
  const auto result = loader.load(path);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::out_of_memory);
  EXPECT_NE(result.error().message.find("MiB are free; free some, or use a smaller"), std::string::npos)
      << result.error().str();
}

// q, k and v that stand head by head in one tensor exist for as many of each alone.
TEST(Load, FusedHeadsOfDifferentNumbers) {
  const std::filesystem::path golden = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/models/gpt_neox";
  io::TempDir dir;
  std::filesystem::copy_file(golden / "model.safetensors", dir / "model.safetensors");
  auto config = read_file(golden / "config.json");
  ASSERT_TRUE(config.ok());
  ASSERT_TRUE(write_file_atomic(dir / "config.json", "{\"num_key_value_heads\": 1," + config->substr(1)).ok());
  Loader loader;
  expect_error(loader.load(dir.path()), Code::invalid, "num_key_value_heads");
}

}  // namespace
}  // namespace miao::models
