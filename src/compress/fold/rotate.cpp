// The rotation as changes: which tensors read the residual stream, which add to it, and whose weights the norms give
// away.
#include <string>

#include "compress/fold/changes.h"
#include "models/model.h"

namespace miao::compress {

namespace {

using models::ModelSpec;

// Why the residual stream cannot turn, or nullptr.
const char* obstacle(const ModelSpec& s) {
  if (s.shape != ModelSpec::Shape::decoder) return "only decoders are rotated";
  if (s.layer_norm || s.norm_bias)
    return "its norms take the mean of the dimensions (LayerNorm), which a rotation changes";
  if (!s.block.pre_norms || !s.block.first_norm || s.block.post_norms || s.block.after_norms || s.embedding_norm ||
      !s.output_norm)
    return "it norms what blocks add, or does not norm what they read";
  if (s.positions > 0 || s.sinusoids != ModelSpec::Sinusoids::none || s.token_types > 0 || s.embedding_dim > 0)
    return "it adds positions or has an embedding of another width";
  return nullptr;
}

class Rotate {
 public:
  Rotate(const io::Checkpoint& model, const ModelSpec& spec)
      : model_(model), s_(spec), stream_(spec.dim), head_(spec.block.attn.head_dim, 2) {}

  const Changes& plan() {
    for (int64_t layer = 0; layer < s_.layers; ++layer) block("blk." + std::to_string(layer) + ".");
    change("token_embd.weight").in = &stream_;
    const std::string head = "output.weight";
    if (model_.find(head)) {
      behind("output_norm.weight", {head});
    } else {
      Change& output = out_[head];
      output.of = "token_embd.weight";
      output.cols = vector_of(model_, "output_norm.weight");
      output.in = &stream_;
      out_["output_norm.weight"].ones = true;
    }
    return out_;
  }

 private:
  Change& change(const std::string& name) { return out_[name]; }

  // The norm gives its weights to those of the matrices that are there.
  void behind(const std::string& norm, const std::vector<std::string>& matrices) {
    const std::vector<float> weights = vector_of(model_, norm);
    for (const std::string& name : matrices) {
      if (!model_.find(name)) continue;
      change(name).cols = weights;
      change(name).in = &stream_;
    }
    change(norm).ones = true;
  }

  void block(const std::string& blk) {
    std::vector<std::string> attn{blk + "attn_q.weight", blk + "attn_k.weight", blk + "attn_v.weight",
                                  blk + "attn_qkv.weight"};
    std::vector<std::string> ffn{blk + "ffn_gate.weight", blk + "ffn_up.weight", blk + "ffn_gate_exps.weight",
                                 blk + "ffn_up_exps.weight", blk + "ffn_gate_inp.weight"};
    if (s_.block.parallel == models::BlockSpec::Parallel::shared_norm) {
      attn.insert(attn.end(), ffn.begin(), ffn.end());
    } else {
      behind(blk + "ffn_norm.weight", ffn);
    }
    behind(blk + "attn_norm.weight", attn);
    for (const char* name : {"attn_output", "ffn_down", "ffn_down_exps"}) {
      if (model_.find(blk + name + ".weight")) change(blk + name + ".weight").out = &stream_;
      if (model_.find(blk + name + ".bias")) change(blk + name + ".bias").in = &stream_;
    }
    if (!model_.find(blk + "attn_v.weight")) return;
    change(blk + "attn_v.weight").out = &head_;
    if (model_.find(blk + "attn_v.bias")) change(blk + "attn_v.bias").in = &head_;
    change(blk + "attn_output.weight").in = &head_;
  }

  const io::Checkpoint& model_;
  const ModelSpec& s_;
  Rotation stream_, head_;
  Changes out_;
};

}  // namespace

Result<GgufCopy> rotate(const io::Checkpoint& model, const std::filesystem::path& beside, const FoldOptions& options) {
  if (model.kind() != io::Checkpoint::Kind::gguf)
    return Error{Code::invalid, "is no GGUF file; make one of it first", model.path().string()};
  MIAO_TRY(const ModelSpec spec, models::spec_of(model));
  if (const char* const why = obstacle(spec))
    return Error{Code::unsupported, std::string("cannot be rotated: ") + why, model.path().string()};
  Rotate rotate(model, spec);
  return write_changed(model, beside, rotate.plan(), "rotated", options);
}

}  // namespace miao::compress
