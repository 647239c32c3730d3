// The forward pass of a decoder as a Program. A block is five steps (seven with post norms):
//   qkv | attn (norms, rotation, KV, attention) | o += | gate_up | down +=
#include "models/model.h"

#include <algorithm>

#include "base/log.h"
#include "graph/ops.h"
#include "models/family.h"
#include "models/rope.h"
#include "models/source.h"

namespace miao::models {

namespace {

Result<DType> choose_kv(const LoadOptions& options, bool all_f32) {
  const DType kv = options.kv.value_or(options.f32 || all_f32 ? DType::f32 : DType::f16);
  if (kv != DType::f32 && kv != DType::f16 && kv != DType::bf16) {
    return Error{
        Code::invalid, std::string("keys and values cannot be ") + format(kv).name + "; use F32, F16 or BF16", {}};
  }
  return kv;
}

}  // namespace

Result<std::unique_ptr<Model>> Model::load(const io::Checkpoint& checkpoint, const LoadOptions& options,
                                           const graph::Context& context) {
  if (checkpoint.tensors().empty()) {
    return Error{Code::not_found, "holds no weights, perhaps a vocabulary alone; only miao tokens can use that",
                 checkpoint.path().string()};
  }
  auto model = read(checkpoint, options, context);
  if (!model.ok() && model.error().where.find(checkpoint.path().string()) == std::string::npos) {
    return std::move(model.error()).at(checkpoint.path().string());  // of tensors, which know their names alone
  }
  return model;
}

Result<std::unique_ptr<Model>> Model::read(const io::Checkpoint& checkpoint, const LoadOptions& options,
                                           const graph::Context& context) {
  constexpr int64_t kMaxCtx = int64_t{1} << 30;
  MIAO_TRY(Source source, Source::open(checkpoint));
  MIAO_TRY(const Family* family, find_family(source));
  source.use_names(family->names);
  MIAO_TRY(ModelSpec spec, family->spec(source));
  spec.family = family->name;
  if (options.ctx < 0 || options.ctx > kMaxCtx) {
    return Error{Code::invalid, "the context length " + std::to_string(options.ctx) + " is not within 1 to 2^30", {}};
  }
  if (options.chunk < 1 || options.chunk > 4096) {
    return Error{
        Code::invalid, "the chunk of " + std::to_string(options.chunk) + " tokens is not within 1 to 4096", {}};
  }

  std::unique_ptr<Model> model(new Model(std::move(spec), context));
  const ModelSpec& s = model->spec_;
  model->ctx_ = options.ctx ? options.ctx : std::min(s.ctx, kDefaultCtx);
  if (model->ctx_ > s.ctx) {
    log_warn("the model was made for " + std::to_string(s.ctx) + " positions; beyond them its answers get worse");
  }
  if (const int64_t limit = ctx_of_scaling(s.rope, s.ctx); limit > 0 && model->ctx_ > limit) {
    log_warn("a context of more than " + std::to_string(limit) + " positions changes the rotation of this model (" +
             scaling_name(s.rope.scaling) + "), for shorter texts too");
  }
  MIAO_TRY(model->weights_, describe_weights(source, s, context, options.f32));
  MIAO_TRY(model->kv_, choose_kv(options, model->weights_.all_f32));
  model->build();
  MIAO_CHECK_OK(model->program_.plan(std::min(options.chunk, model->ctx_)));
  MIAO_CHECK_OK(model->check_memory());
  MIAO_CHECK_OK(pack_weights(source, context, model->weights_, options.cancel));
  return model;
}

// Before the weights are packed: neither they nor the buffers of the plan have been touched.
Result<void> Model::check_memory() const {
  const int64_t weights = packed_bytes(weights_), buffers = program_.bytes();
  return require_memory(
      static_cast<uint64_t>(weights + buffers),
      "the weights (" + std::to_string(weights >> 20) + " MiB) and buffers (" + std::to_string(buffers >> 20) + " MiB)",
      "free some, or use a smaller or more quantised model or a smaller --chunk");
}

void Model::build() {
  const ModelSpec& s = spec_;
  const AttentionSpec& a = s.block.attn;
  graph::Program& p = program_;
  const auto norm = [&](const std::vector<float>& weight) {
    return graph::Norm{weight.data(), static_cast<int64_t>(weight.size()), static_cast<float>(s.eps)};
  };
  const auto rotation = [&](const char* name, const RopeSpec& rope) {
    RopeTable table = rope_table(rope, a.rotary_dim, s.ctx, ctx_);
    return graph::add_rotation(p, name, std::move(table.frequency), table.factor);
  };

  graph::Buffer* const x = p.buffer("x", s.dim);
  const auto scale = static_cast<float>(s.embedding_scale);
  if (s.tied) {
    graph::add_embedding(p, weights_.head, scale, x);
  } else {
    graph::add_embedding(p, weights_.embedding, scale, x);
  }
  graph::Buffer* const full = rotation("rotation", s.rope);
  const bool slides = std::find(s.sliding.begin(), s.sliding.end(), true) != s.sliding.end();
  graph::Buffer* const local = slides ? rotation("local_rotation", s.local_rope) : nullptr;

  for (int64_t i = 0; i < s.layers; ++i) {
    const BlockWeights& w = weights_.blocks[static_cast<size_t>(i)];
    const bool sliding = s.sliding[static_cast<size_t>(i)];
    const std::string blk = "blk." + std::to_string(i) + ".";
    const auto buffer = [&](const char* name, int64_t cols) { return p.buffer(blk + name, cols); };
    // x += linear(in), through a norm of its own in models with post norms.
    const auto add_back = [&](const char* name, const graph::Linear& linear, graph::Buffer* in,
                              const std::vector<float>& post_norm) {
      if (post_norm.empty()) {
        graph::add_linear(p, blk + name, linear, std::nullopt, in, graph::Store::accumulate, x);
        return;
      }
      graph::Buffer* const y = buffer(name, s.dim);
      graph::add_linear(p, blk + name, linear, std::nullopt, in, graph::Store::assign, y);
      graph::add_norm_residual(p, blk + name + "_norm", norm(post_norm), y, x);
    };

    graph::Attention attention;
    attention.layer = i;
    attention.heads = a.heads;
    attention.kv_heads = a.kv_heads;
    attention.head_dim = a.head_dim;
    attention.q = w.qkv.offset(0);
    attention.k = w.qkv.offset(1);
    attention.v = w.qkv.offset(2);
    attention.half = a.rotary_dim / 2;
    attention.interleaved = a.interleaved;
    if (a.qk_norm) {
      attention.q_norm = norm(w.q_norm);
      attention.k_norm = norm(w.k_norm);
    }
    attention.kv = kv_;
    attention.window = sliding ? s.window : 0;
    attention.scale = static_cast<float>(a.scale);
    attention.softcap = static_cast<float>(a.softcap);

    graph::Buffer* const qkv = buffer("qkv", w.qkv.width());
    graph::Buffer* const attn = buffer("attn", a.heads * a.head_dim);
    graph::Buffer* const ffn = buffer("ffn", s.block.ffn.dim);
    graph::add_linear(p, blk + "qkv", w.qkv, norm(w.attn_norm), x, graph::Store::assign, qkv);
    graph::add_attention(p, blk + "attn", attention, qkv, sliding ? local : full, attn);
    if (i == s.layers - 1) p.select({x, attn});
    add_back("o", w.o, attn, w.post_attn_norm);
    graph::add_gated(p, blk + "gate_up", w.gate_up, s.block.ffn.act, norm(w.ffn_norm), x, ffn);
    add_back("down", w.down, ffn, w.post_ffn_norm);
  }
  graph::add_logits(p, "lm_head", weights_.head, norm(weights_.output_norm), static_cast<float>(s.final_softcap), x);
}

std::vector<WeightGroup> Model::groups() const {
  std::vector<WeightGroup> out;
  const auto add = [&](const char* name, const graph::Linear& linear) {
    for (size_t i = 0; i < linear.parts(); ++i) {
      auto at = std::find_if(out.begin(), out.end(),
                             [&](const WeightGroup& g) { return g.name == name && g.dtype == linear.file_dtype(i); });
      if (at == out.end()) at = out.insert(out.end(), {name, linear.file_dtype(i), &linear.kernel(i), 0});
      at->bytes += linear.part_bytes(i);
    }
  };
  for (const BlockWeights& b : weights_.blocks) {
    add("qkv", b.qkv);
    add("o", b.o);
    add("gate_up", b.gate_up);
    add("down", b.down);
  }
  add("lm_head", weights_.head);
  return out;
}

std::vector<std::string> supported_architectures() {
  std::vector<std::string> out;
  for (const Family* family : all_families()) {
    for (std::string_view name : family->answers_to) {
      if (!name.empty()) out.emplace_back(name);
    }
  }
  return out;
}

}  // namespace miao::models
