#include "models/source.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"

namespace miao::models {

namespace {

constexpr TensorName kNames[] = {
    {"token_embd", "embed_tokens"},
    {"output_norm", "norm"},
    {"output", "/lm_head"},
    {"final_logits_bias", "/final_logits_bias!"},
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

const char* find_name(std::span<const TensorName> names, std::string_view stem) {
  const auto at = std::find_if(names.begin(), names.end(), [&](const TensorName& n) { return stem == n.gguf; });
  return at == names.end() ? nullptr : at->hf;
}

std::string format_number(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

// Tensors of blocks that old checkpoints carry and nobody needs.
bool is_ignored(std::string_view name) {
  for (const std::string_view end : {"rotary_emb.inv_freq", "attn_rot_embd", ".attn.bias", ".attn.masked_bias",
                                     ".attention.bias", ".attention.masked_bias"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

}  // namespace

Result<Source> Source::open(const io::Checkpoint& checkpoint) {
  Source s(checkpoint);
  const KeyValues& meta = checkpoint.meta();
  if (s.gguf()) {
    MIAO_TRY(std::string_view architecture, meta.string("general.architecture"));
    s.architecture_ = "gguf:" + std::string(architecture);
    s.prefix_ = std::string(architecture) + ".";
    return s;
  }
  if (s.ct2()) {
    MIAO_TRY(std::string_view specification, meta.string("ct2.spec"));
    s.architecture_ = "ct2:" + std::string(specification);
    return s;
  }
  MIAO_TRY(const KeyValues::Strings* names, meta.strings("architectures"));
  if (names->size() != 1) return Error{Code::invalid, "expected exactly one entry in 'architectures'", meta.source()};
  s.architecture_ = (*names)[0];
  if (meta.has("text_config.hidden_size") || meta.has("text_config.model_type")) s.prefix_ = "text_config.";
  if (meta.has("quantization_config.quant_method")) {
    return Error{Code::unsupported, "Hugging Face quantised checkpoints are not read; use the GGUF or the plain one",
                 meta.source() + ": quantization_config"};
  }
  return s;
}

void Source::use(const Naming& naming) {
  naming_ = naming;
  if (gguf() || ct2()) return;
  const std::string root(naming.root), outer = "language_model.";
  for (const std::string& prefix : {root, std::string(), outer + root, root + outer}) {
    tensor_prefix_ = prefix;
    if (find("token_embd.weight") || find("enc.token_embd.weight") || find("dec.token_embd.weight")) break;
    tensor_prefix_ = root;
  }
  if (checkpoint_->find(outer + "lm_head.weight")) head_prefix_ = outer;
}

std::string_view Source::model_name() const {
  auto name = checkpoint_->meta().string(gguf() ? "general.name" : "_name_or_path", "");
  return name ? *name : std::string_view{};
}

std::string Source::name(Key key) const {
  const char* own = gguf() ? key.gguf : key.hf;
  if (!own) return {};
  for (const KeyName& k : naming_.keys) {
    if (gguf() || std::string_view(key.hf) != k.usual) continue;
    const KeyValues& meta = checkpoint_->meta();  // as transformers, which reads either
    if (meta.has(prefix_ + k.own) || !meta.has(prefix_ + k.usual)) own = k.own;
  }
  return prefix_ + own;
}

Error Source::invalid(Key key, std::string what) const {
  return {Code::invalid, "'" + name(key) + "' " + std::move(what), checkpoint_->meta().source()};
}
Error Source::unsupported(Key key, std::string what) const {
  return {Code::unsupported, "'" + name(key) + "' " + std::move(what), checkpoint_->meta().source()};
}

Result<int64_t> Source::integer(Key key, int64_t low, int64_t high) const {
  MIAO_TRY(int64_t value, checkpoint_->meta().integer(name(key)));
  if (value < low || value > high) {
    return invalid(key,
                   "is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}
Result<int64_t> Source::integer(Key key, int64_t low, int64_t high, int64_t fallback) const {
  return has(key) ? integer(key, low, high) : Result<int64_t>(fallback);
}
Result<double> Source::number(Key key, double low, double high) const {
  MIAO_TRY(double value, checkpoint_->meta().number(name(key)));
  if (!(value >= low && value <= high)) {
    return invalid(key,
                   "is " + format_number(value) + ", expected " + format_number(low) + " to " + format_number(high));
  }
  return value;
}
Result<double> Source::number(Key key, double low, double high, double fallback) const {
  return has(key) ? number(key, low, high) : Result<double>(fallback);
}
Result<bool> Source::boolean(Key key, bool fallback) const { return checkpoint_->meta().boolean(name(key), fallback); }
Result<std::string> Source::string(Key key, std::string_view fallback) const {
  MIAO_TRY(std::string_view value, checkpoint_->meta().string(name(key), fallback));
  return std::string(value);
}
Result<std::vector<double>> Source::numbers(Key key) const { return checkpoint_->meta().numbers(name(key)); }
Result<std::vector<std::string>> Source::strings(Key key) const {
  MIAO_TRY(const KeyValues::Strings* values, checkpoint_->meta().strings(name(key)));
  return std::vector<std::string>(values->begin(), values->end());
}
Result<std::vector<int64_t>> Source::integers(Key key) const {
  MIAO_TRY(const KeyValues::Ints* values, checkpoint_->meta().integers(name(key)));
  return *values;
}

namespace {

// The parts of "enc.blk.3.attn_q.weight".
struct CanonicalName {
  std::string side, block, stem, suffix;  // "enc.", "3.", "attn_q", ".weight"
};

CanonicalName split_name(std::string_view canonical) {
  const size_t dot = canonical.rfind('.');
  CanonicalName out{{}, {}, std::string(canonical.substr(0, dot)), std::string(canonical.substr(dot))};
  if (out.stem.starts_with("enc.") || out.stem.starts_with("dec.")) {
    out.side = out.stem.substr(0, 4);
    out.stem = out.stem.substr(4);
  }
  if (out.stem.starts_with("blk.")) {
    const size_t end = out.stem.find('.', 4);
    out.block = out.stem.substr(4, end - 3);
    out.stem = out.stem.substr(end + 1);
  }
  return out;
}

}  // namespace

std::string gguf_tensor_name(const Naming& naming, std::string_view canonical) {
  if (naming.gguf.empty()) return std::string(canonical);
  CanonicalName n = split_name(canonical);
  if (!n.block.empty()) n.block.insert(0, "blk.");
  if (const char* own = find_name(naming.gguf, n.stem)) n.stem = own;
  return n.side + n.block + n.stem + n.suffix;
}

std::string Source::tensor_name(std::string_view canonical) const {
  if (gguf()) return gguf_tensor_name(naming_, canonical);
  auto [side, block, stem, suffix] = split_name(canonical);
  std::string number;  // "7" of "ffn_up.7"
  const size_t last = stem.rfind('.');
  if (last != std::string::npos && stem.find_first_not_of("0123456789", last + 1) == std::string::npos) {
    number = stem.substr(last + 1);
    stem = stem.substr(0, last) + ".*";
  }
  const char* found = side.empty() ? nullptr : find_name(naming_.tensors, side + stem);
  if (!found) found = find_name(naming_.tensors, stem);
  if (!found) found = find_name(naming_.shared, stem);
  if (!found) found = find_name(kNames, stem);
  MIAO_CHECK(found != nullptr);
  std::string_view names = found;
  for (;;) {
    const size_t bar = names.find('|');
    std::string name = hugging_face_name(std::string(names.substr(0, bar)), side, block, number, suffix);
    if (bar == std::string_view::npos || checkpoint_->find(name)) return name;
    names = names.substr(bar + 1);
  }
}

std::string Source::hugging_face_name(std::string hf, std::string side, std::string block, const std::string& number,
                                      std::string suffix) const {
  if (const size_t star = hf.find('*'); star != std::string::npos) hf.replace(star, 1, number);
  if (naming_.slashes) {
    const bool norm = hf.ends_with("norm"), weight = suffix == ".weight";
    suffix = norm ? weight ? "/gamma" : "/beta" : weight ? "/weight" : "/bias";
  }
  if (hf.back() == '!') {
    hf.pop_back();
    suffix.clear();
  }
  if (hf[0] == '/') return head_prefix_ + hf.substr(1) + suffix;
  if (!block.empty()) {
    block.insert(0, naming_.blocks);
    if (naming_.slashes) block.back() = '/';
  }
  if (!side.empty()) side = side == "enc." ? naming_.encoder : naming_.decoder;
  return tensor_prefix_ + side + block + hf + suffix;
}

Result<void> Source::all_used(std::vector<std::string_view> used) const {
  std::vector<std::string> blocks;
  for (const std::string_view side : {std::string_view(), naming_.encoder, naming_.decoder}) {
    blocks.push_back(tensor_prefix_ + std::string(side) + std::string(naming_.blocks));
  }
  if (gguf()) blocks = {"blk.", "enc.blk.", "dec.blk."};
  std::sort(used.begin(), used.end());
  for (const TensorView& t : checkpoint_->tensors()) {
    const bool of_block =
        std::any_of(blocks.begin(), blocks.end(), [&](const auto& b) { return t.name.starts_with(b); });
    if (!of_block || is_ignored(t.name)) continue;
    if (!std::binary_search(used.begin(), used.end(), std::string_view(t.name))) {
      return Error{Code::unsupported, "this tensor has no place in the architecture " + architecture_, place(t.name)};
    }
  }
  return {};
}

}  // namespace miao::models
