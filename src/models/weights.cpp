// Which tensors a model has, by its spec; see weights.h.
#include "models/weights.h"

#include <string>

#include "models/tensor_reader.h"

namespace miao::models {

void ModelSpec::keep_blocks(int64_t count) {
  if (count >= layers) return;
  const std::vector<bool> all_sliding = std::move(sliding), all_rotated = std::move(rotated);
  sliding.clear();
  rotated.clear();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t own = i * layers / count;
    kept.push_back(own);
    if (!all_sliding.empty()) sliding.push_back(all_sliding[static_cast<size_t>(own)]);
    if (!all_rotated.empty()) rotated.push_back(all_rotated[static_cast<size_t>(own)]);
  }
  layers = count;
}

namespace {

const char* head_name(HeadSpec::Task task) {
  switch (task) {
    case HeadSpec::Task::tokens:
      return "token_cls.output";
    case HeadSpec::Task::span:
      return "span.output";
    default:
      return "cls.output";
  }
}

class Reader : private TensorReader {
 public:
  using TensorReader::TensorReader;
  using TensorReader::used;

  Result<Weights> read() {
    Weights w;
    MIAO_CHECK_OK(read_embeddings(w));
    if (spec_.output_norm) {
      MIAO_TRY(w.output_norm, norm(side_ + "output_norm", spec_.dim));
    }
    for (int64_t i = 0; i < (spec_.shared_blocks ? 1 : spec_.layers); ++i) {
      MIAO_TRY(BlockWeights block, read_block(side_ + "blk." + std::to_string(of_file(i)) + ".", of_file(i) == 0));
      w.blocks.push_back(std::move(block));
    }
    if (spec_.shape != ModelSpec::Shape::encoder) {
      MIAO_CHECK_OK(read_output(w));
    } else {
      MIAO_CHECK_OK(read_head(w));
    }
    w.all_f32 = all_f32();
    return w;
  }

 private:
  int64_t of_file(int64_t layer) const { return spec_.kept.empty() ? layer : spec_.kept[static_cast<size_t>(layer)]; }
  int64_t width() const { return spec_.embedding_dim > 0 ? spec_.embedding_dim : spec_.dim; }

  Result<void> read_embeddings(Weights& w) {
    const bool encoder = spec_.shape == ModelSpec::Shape::encoder;
    const int64_t position_width = encoder ? width() : spec_.dim;  // added before or behind the projection
    if (spec_.features > 0) {
      MIAO_TRY(w.conv1, convolution("conv1", spec_.features));
      MIAO_TRY(w.conv2, convolution("conv2", spec_.dim));
    } else {
      MIAO_TRY(w.embedding, matrix(embedding_name(), spec_.vocab, width()));
    }
    if (spec_.positions > 0 && spec_.sinusoids == ModelSpec::Sinusoids::none) {
      MIAO_TRY(w.positions, matrix(side_ + "position_embd", spec_.positions, position_width));
    }
    if (spec_.token_types > 0) {
      MIAO_TRY(w.token_types, matrix("token_types", spec_.token_types, width()));
    }
    if (spec_.embedding_norm) {
      MIAO_TRY(w.embedding_norm, norm(side_ + "token_embd_norm", width()));
    }
    if (spec_.embedding_dim > 0) {
      MIAO_TRY(w.project_in, linear("project_in", spec_.dim, width(), encoder));
    }
    if (spec_.distance_buckets > 0) {
      MIAO_TRY(w.distance_bias,
               vector(side_ + "distance_bias.weight", {spec_.distance_buckets, spec_.block.attn.heads}));
    }
    return {};
  }

  Result<void> read_output(Weights& w) {
    if (spec_.embedding_dim > 0) {
      MIAO_TRY(w.project_out, linear("project_out", width(), spec_.dim, false));
    }
    graph::LinearPart head{.weight = w.embedding};
    if (!spec_.tied) {
      MIAO_TRY(head.weight, matrix("output", spec_.vocab, width()));
    }
    if (spec_.output_bias) {
      MIAO_TRY(head.bias, output_bias());
    }
    // A decoder with an encoder is small, and its output matrix a third of what a token reads.
    MIAO_TRY(w.head, describe({std::move(head)}, spec_.encoder ? precision_ : outer_));
    return {};
  }

  // Both sides of an encoder-decoder may share a table, which files write once, under the name of any that has it.
  std::string embedding_name() const {
    if (side_.empty()) return "token_embd";
    for (const std::string& name : {side_ + "token_embd", std::string("token_embd"), std::string("enc.token_embd"),
                                    std::string("dec.token_embd"), std::string("output")}) {
      if (source_.find(name + ".weight")) return name;
    }
    return "token_embd";
  }
  // BART's kin write it as a matrix of one row.
  Result<std::vector<float>> output_bias() {
    if (source_.find("final_logits_bias.weight")) return vector("final_logits_bias.weight", {1, spec_.vocab});
    return vector("output.bias", spec_.vocab);
  }

  Result<void> read_head(Weights& w) {
    const HeadSpec& h = spec_.head;
    if (h.dense) {
      MIAO_TRY(w.dense, linear("cls", spec_.dim, spec_.dim, h.dense_bias));
    }
    if (h.dense_norm) {
      MIAO_TRY(w.dense_norm, norm("cls.norm", spec_.dim));
    }
    if (h.outputs > 0) {
      MIAO_TRY(w.head, linear(head_name(h.task), h.outputs, spec_.dim, true));
    }
    return {};
  }

  Result<graph::Linear> read_qkv(const std::string& blk) {
    using Fused = AttentionSpec::Fused;
    const AttentionSpec& a = spec_.block.attn;
    const int64_t rows[3] = {a.heads * a.head_dim, a.kv_heads * a.head_dim, a.kv_heads * a.head_dim};
    const int64_t all = rows[0] + rows[1] + rows[2];
    const char* const names[3] = {"attn_q", "attn_k", "attn_v"};
    std::vector<graph::LinearPart> parts;
    int64_t first = 0;
    for (int i = 0; i < 3; ++i) {
      graph::LinearPart p;
      if (a.fused == Fused::none) {
        MIAO_TRY(p, part(blk + names[i], rows[i], spec_.dim, a.qkv_bias && (i != 1 || a.k_bias)));
      } else if (a.fused == Fused::stacked) {
        MIAO_TRY(p, part(blk + "attn_qkv", rows[i], all, spec_.dim, a.qkv_bias, {.first = first}));
      } else {
        const graph::RowMap map{.first = i * a.head_dim, .run = a.head_dim, .step = 3 * a.head_dim};
        MIAO_TRY(p, part(blk + "attn_qkv", rows[i], all, spec_.dim, a.qkv_bias, map));
      }
      first += rows[i];
      parts.push_back(std::move(p));
    }
    return describe(std::move(parts), precision_);
  }

  Result<void> read_cross(const std::string& blk, BlockWeights& b) {
    const AttentionSpec& a = spec_.block.attn;
    const int64_t n = a.heads * a.head_dim, from = spec_.encoder->dim;
    MIAO_TRY(b.cross_q, linear(blk + "cross_attn_q", n, spec_.dim, a.qkv_bias));
    graph::LinearPart k, v;
    if (spec_.block.cross == BlockSpec::Cross::stacked) {
      MIAO_TRY(k, part(blk + "cross_attn_kv", n, 2 * n, from, a.qkv_bias, {}));
      MIAO_TRY(v, part(blk + "cross_attn_kv", n, 2 * n, from, a.qkv_bias, {.first = n}));
    } else {
      MIAO_TRY(k, part(blk + "cross_attn_k", n, from, a.qkv_bias && a.k_bias));
      MIAO_TRY(v, part(blk + "cross_attn_v", n, from, a.qkv_bias));
    }
    MIAO_TRY(b.cross_kv, describe({std::move(k), std::move(v)}, precision_));
    MIAO_TRY(b.cross_o, linear(blk + "cross_attn_output", spec_.dim, n, a.o_bias));
    if (spec_.block.pre_norms) {
      MIAO_TRY(b.cross_norm, norm(blk + "cross_attn_norm", spec_.dim));
    }
    if (spec_.block.after_norms) {
      MIAO_TRY(b.post_cross_norm, norm(blk + "cross_attn_output_norm", spec_.dim));
    }
    return {};
  }

  Result<graph::Linear> read_gate_up(const std::string& blk) {
    const FfnSpec& f = spec_.block.ffn;
    if (!f.gated) return linear(blk + "ffn_up", f.dim, spec_.dim, f.bias);
    graph::LinearPart gate, up;
    if (f.fused) {
      MIAO_TRY(gate, part(blk + "ffn_up", f.dim, 2 * f.dim, spec_.dim, f.bias, {}));
      MIAO_TRY(up, part(blk + "ffn_up", f.dim, 2 * f.dim, spec_.dim, f.bias, {.first = f.dim}));
    } else {
      MIAO_TRY(gate, part(blk + "ffn_gate", f.dim, spec_.dim, f.bias));
      MIAO_TRY(up, part(blk + "ffn_up", f.dim, spec_.dim, f.bias));
    }
    return describe({std::move(gate), std::move(up)}, precision_);
  }

  Result<void> read_experts(const std::string& blk, BlockWeights& b) {
    const FfnSpec& f = spec_.block.ffn;
    MIAO_TRY(graph::LinearPart router, part(blk + "ffn_gate_inp", f.experts, spec_.dim, false));
    MIAO_TRY(b.router, describe({std::move(router)}, graph::Precision::f32));
    for (int64_t e = 0; e < f.experts; ++e) {
      MIAO_TRY(graph::LinearPart gate, expert(blk + "ffn_gate", e, f.dim, spec_.dim));
      MIAO_TRY(graph::LinearPart up, expert(blk + "ffn_up", e, f.dim, spec_.dim));
      MIAO_TRY(graph::LinearPart down, expert(blk + "ffn_down", e, spec_.dim, f.dim));
      MIAO_TRY(graph::Linear gate_up, describe({std::move(gate), std::move(up)}, precision_));
      MIAO_TRY(graph::Linear down_linear, describe({std::move(down)}, precision_));
      b.expert_gate_up.push_back(std::move(gate_up));
      b.expert_down.push_back(std::move(down_linear));
    }
    return {};
  }

  Result<BlockWeights> read_block(const std::string& blk, bool first) {
    const BlockSpec& block = spec_.block;
    const AttentionSpec& a = block.attn;
    BlockWeights b;
    if (block.pre_norms && (block.first_norm || !first)) {
      MIAO_TRY(b.attn_norm, norm(blk + "attn_norm", spec_.dim));
    }
    MIAO_TRY(b.qkv, read_qkv(blk));
    MIAO_TRY(b.o, linear(blk + "attn_output", spec_.dim, a.heads * a.head_dim, a.o_bias));
    if (a.qk_norm != AttentionSpec::QkNorm::none) {
      MIAO_TRY(b.q_norm, head_norm(blk + "attn_q_norm", a.heads));
      MIAO_TRY(b.k_norm, head_norm(blk + "attn_k_norm", a.kv_heads));
    }
    if (block.cross != BlockSpec::Cross::none) MIAO_CHECK_OK(read_cross(blk, b));
    if (block.pre_norms && block.parallel != BlockSpec::Parallel::shared_norm) {
      MIAO_TRY(b.ffn_norm, norm(blk + "ffn_norm", spec_.dim));
    }
    if (block.ffn.experts > 0) {
      MIAO_CHECK_OK(read_experts(blk, b));
    } else {
      MIAO_TRY(b.gate_up, read_gate_up(blk));
      MIAO_TRY(b.down, linear(blk + "ffn_down", spec_.dim, block.ffn.dim, block.ffn.bias));
    }
    if (block.post_norms || block.after_norms) {
      MIAO_TRY(b.post_attn_norm,
               norm(blk + (block.post_norms ? "post_attention_norm" : "attn_output_norm"), spec_.dim));
      MIAO_TRY(b.post_ffn_norm, norm(blk + (block.post_norms ? "post_ffw_norm" : "layer_output_norm"), spec_.dim));
    }
    return b;
  }
};

}  // namespace

Result<Weights> describe_weights(const Source& source, const ModelSpec& spec, const graph::Context& context,
                                 graph::Precision precision) {
  std::vector<TensorUse> used;
  std::unique_ptr<Weights> encoder;
  if (spec.encoder) {
    Reader reader(source, *spec.encoder, context, precision);
    MIAO_TRY(Weights found, reader.read());
    used = reader.used();
    encoder = std::make_unique<Weights>(std::move(found));
  }
  Reader reader(source, spec, context, precision);
  MIAO_TRY(Weights w, reader.read());
  used.insert(used.end(), reader.used().begin(), reader.used().end());
  std::vector<std::string_view> names;
  for (const TensorUse& t : used) names.push_back(t.name);
  if (spec.side != "enc." && spec.kept.empty()) MIAO_CHECK_OK(source.all_used(std::move(names)));
  w.tensors = std::move(used);
  if (encoder) w.all_f32 &= encoder->all_f32;
  w.encoder = std::move(encoder);
  return w;
}

}  // namespace miao::models
