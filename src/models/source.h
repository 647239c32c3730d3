// Source: a checkpoint's hyper-parameters and tensors under one set of names, whichever file they come from.
//
// Hyper-parameters have a GGUF key, written behind "<architecture>.", and a Hugging Face key, written as it is or
// behind "text_config.". Tensors have the GGUF name ("blk.3.attn_q.weight") as their canonical name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/checkpoint.h"

namespace miao::models {

// One hyper-parameter and what is sane. Either key may be null: not written in such files.
struct Key {
  const char* gguf;
  const char* hf;
};

struct TensorName {
  // "attn_q" of "blk.N.attn_q.weight"; "ffn_up.*" of "blk.N.ffn_up.7.weight", the seventh expert; "dec.ffn_norm": of
  // the decoder of an encoder-decoder alone.
  const char* gguf;
  const char* hf;  // "self_attn.q_proj" of "model.layers.N.self_attn.q_proj.weight"; "/lm_head": without the root;
                   // "final_logits_bias!": that is all of the name, without ".weight"; "a|b": what the file has
};
struct KeyName {
  const char* usual;  // "hidden_size", read where the file has not the other
  const char* own;    // "n_embd"
};
// How the Hugging Face files of a family differ from Llama's in names.
struct Naming {
  std::string_view root = "model.";  // of all tensors but those of heads; files of a bare model leave it out
  std::string_view blocks = "layers.";
  std::string_view encoder = "encoder.", decoder = "decoder.";  // of encoder-decoders, behind the root: "enc.", "dec."
  bool slashes = false;                                         // CTranslate2's way of writing them: "layer_norm/gamma"
  std::span<const TensorName> tensors, shared;  // `shared`: what families of one kin have in common; asked second
  std::span<const KeyName> keys;
  std::span<const TensorName> gguf;  // names of GGUF files that are not the canonical ones
};

// The name that GGUF files of a family have for a canonical one.
std::string gguf_tensor_name(const Naming& naming, std::string_view canonical);

class Source {
 public:
  // Errors: not_found when the checkpoint does not say its architecture.
  static Result<Source> open(const io::Checkpoint& checkpoint);

  const io::Checkpoint& checkpoint() const { return *checkpoint_; }
  bool gguf() const { return checkpoint_->kind() == io::Checkpoint::Kind::gguf; }
  bool ct2() const { return checkpoint_->kind() == io::Checkpoint::Kind::ct2; }
  const std::string& architecture() const {
    return architecture_;
  }  // "gguf:llama", "LlamaForCausalLM", "ct2:WhisperSpec"
  std::string_view model_name() const;

  bool has(Key key) const { return checkpoint_->meta().has(name(key)); }
  std::string name(Key key) const;  // the key as this file spells it
  // Where a tensor is, for Errors: "model.gguf: blk.0.attn_q.weight".
  std::string place(const std::string& tensor) const { return checkpoint_->path().string() + ": " + tensor; }
  // Values within [low, high]; an Error names the key and the range. The last argument is the value when absent.
  Result<int64_t> integer(Key key, int64_t low, int64_t high) const;
  Result<int64_t> integer(Key key, int64_t low, int64_t high, int64_t fallback) const;
  Result<double> number(Key key, double low, double high) const;
  Result<double> number(Key key, double low, double high, double fallback) const;
  Result<bool> boolean(Key key, bool fallback) const;
  Result<std::string> string(Key key, std::string_view fallback) const;
  Result<std::vector<double>> numbers(Key key) const;
  Result<std::vector<std::string>> strings(Key key) const;
  Result<std::vector<int64_t>> integers(Key key) const;
  Error invalid(Key key, std::string what) const;
  Error unsupported(Key key, std::string what) const;

  // Before any tensor or hyper-parameter is asked for.
  void use(const Naming& naming);
  // The name in this file of a model tensor ("output_norm.weight") or a block tensor ("blk.3.attn_q.weight"); of an
  // encoder-decoder "enc.blk.3.attn_q.weight".
  std::string tensor_name(std::string_view canonical) const;
  const TensorView* find(std::string_view canonical) const { return checkpoint_->find(tensor_name(canonical)); }
  // Every block tensor that the file holds must be in `used` (file names): what is left over would be missed silently.
  Result<void> all_used(std::vector<std::string_view> used) const;

 private:
  explicit Source(const io::Checkpoint& checkpoint) : checkpoint_(&checkpoint) {}

  std::string hugging_face_name(std::string hf, std::string side, std::string block, const std::string& number,
                                std::string suffix) const;

  const io::Checkpoint* checkpoint_;
  std::string architecture_;
  std::string prefix_;         // of keys: "llama.", "text_config." or nothing
  std::string tensor_prefix_;  // of Hugging Face tensors: "model."
  std::string head_prefix_;    // of lm_head
  Naming naming_;
};

}  // namespace miao::models
