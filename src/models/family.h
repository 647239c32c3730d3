// Family: how the checkpoints of one architecture become a ModelSpec. A new family is one file in families/ and one
// line in families.inc; nothing below models/ knows its name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/gguf_metadata.h"
#include "models/source.h"
#include "models/spec.h"

namespace miao::models {

// Puts hyper-parameters under the names of a GGUF architecture. `key.gguf` is written.
class KeyWriter {
 public:
  KeyWriter(std::string_view architecture, io::GgufMetadata& out)
      : prefix_(std::string(architecture) + '.'), out_(out) {}
  void count(Key key, int64_t value) { out_.set(prefix_ + key.gguf, static_cast<uint32_t>(value)); }
  void number(Key key, double value) { out_.set(prefix_ + key.gguf, static_cast<float>(value)); }
  void flag(Key key, bool value) { out_.set(prefix_ + key.gguf, value); }
  void text(Key key, std::string_view value) { out_.set(prefix_ + key.gguf, value); }
  void texts(Key key, const std::vector<std::string>& values) { out_.set(prefix_ + key.gguf, values); }
  void ids(Key key, const std::vector<int32_t>& values) { out_.set(prefix_ + key.gguf, values); }
  io::GgufMetadata& metadata() { return out_; }

 private:
  std::string prefix_;
  io::GgufMetadata& out_;
};

// What GGUF files of a family are, beyond what its spec and the names say.
struct GgufForm {
  std::string_view architecture;  // "llama"; empty: there is none
  bool pairs = false;             // rows of q and k that the rotation turns together are neighbours
  bool window = false;            // they say how many positions sliding layers see
  bool sides = false;             // sizes of encoder and decoder have keys of their own
  bool scaled_tie = false;        // readers scale what an output matrix reads that is the table of tokens
  bool speech = false;            // prompts stand around a text, which the tokenizer's keys do not say
  void (*keys)(const ModelSpec& spec, KeyWriter& keys) = nullptr;  // what this architecture alone has
};

struct Family {
  std::string_view name;
  ModelSpec::Shape shape = ModelSpec::Shape::decoder;
  std::string_view answers_to[8];  // Hugging Face class names, "gguf:" + general.architecture, "ct2:" + specification
  Result<ModelSpec> (*spec)(const Source& source);
  Naming hf;   // of Hugging Face files
  Naming ct2;  // of CTranslate2 files, where the family has them
  GgufForm gguf;
};

// Unsupported architectures are an Error that lists the supported ones.
Result<const Family*> find_family(const Source& source);
std::vector<const Family*> all_families();

// For families: the spec that all decoders share (sizes, norms, rotation, activation), checked. Defaults are those of
// transformers' configuration classes; 0 = the key is required, or follows from others.
struct DecoderDefaults {
  double theta = 10000;
  bool tied = false;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;  // kv_heads 0 = heads, head_dim 0 = dim / heads
  int64_t vocab = 0, ctx = 0;
  double eps = 0;
  const char* act_key = "hidden_act";
  std::string_view act = "silu";
  bool layer_norm = false;    // with biases, else RMS norm
  bool rotary = true;         // else positions are learned
  double rotary_share = 1;    // of a head, in Hugging Face files that do not say it
  int64_t ffn_times_dim = 0;  // the FFN's size where it is not written
  bool experts = false;       // the family reads experts itself
};
Result<ModelSpec> decoder_spec(const Source& source, const DecoderDefaults& defaults = {});
// For families: the spec that the kin of BERT share (norms behind the sums, learned positions, biases everywhere, plain
// FFN), checked, with the head that the architecture's name asks for.
struct EncoderDefaults {
  int64_t vocab = 30522, heads = 12, ctx = 512;  // ctx: rows of the table of positions
  double eps = 1e-12;
  const char* act_key = "hidden_act";
  std::string_view act = "gelu";
  bool learned_positions = true;
  int64_t token_types = 2;                // where the file does not say it; 0 = the family has none
  bool positions_behind_padding = false;  // the first position is the one behind the padding token's id
  bool biases = true;
  // Of a sequence's head; "" = none. Heads of tokens have none.
  bool dense = true;
  kernels::Act dense_act = kernels::Act::tanh;
};
Result<ModelSpec> encoder_spec(const Source& source, const EncoderDefaults& defaults = {});
// For families: the spec of both sides that the kin of BART share (biases, plain FFN, LayerNorm), checked.
struct EncoderDecoderDefaults {
  bool pre_norms = true;  // and one behind the last block; else norms behind the sums
  bool embedding_norm = false;
  ModelSpec::Sinusoids sinusoids = ModelSpec::Sinusoids::none;
  int64_t position_offset = 0;
  const char* source_positions = "max_position_embeddings";
  const char* target_positions = "max_position_embeddings";
  int64_t vocab = 50265, positions = 1024, dim = 1024, layers = 12, heads = 16, ffn_dim = 4096;
  std::string_view act = "gelu";
  bool scaled_embedding = false;
};
Result<ModelSpec> encoder_decoder_spec(const Source& source, const EncoderDecoderDefaults& defaults = {});
std::optional<kernels::Act> act_of(std::string_view name);  // as configurations call it
const char* act_name(kernels::Act act);                     // the other way round

// The router's keys: a mixture of `experts` FFNs of size `ffn_dim`.
struct ExpertKeys {
  Key experts, used, ffn_dim;
};
Result<void> read_experts(const Source& source, ModelSpec& spec, const ExpertKeys& keys);
// spec.sliding from "layer_types" where the file has it, else as `rule` says; nothing slides when spec.window is 0.
Result<void> set_sliding_layers(const Source& source, ModelSpec& spec, const std::vector<bool>& rule);
// The rule of Qwen: with use_sliding_window, layers from max_window_layers on slide.
Result<void> set_upper_sliding_layers(const Source& source, ModelSpec& spec);

}  // namespace miao::models
