// A block is five steps, more where norms are steps of their own:
//   qkv | attn (norms, rotation, KV, attention) | o += | gate_up | down +=
// A decoder that reads what an encoder gives has three more before the FFN: cross_q | cross_attn | cross_o +=.
// With parallel residuals gate_up comes before o, while x is still what attention read. Encoders differ in the
// attention, which sees all of a sequence and keeps nothing, and in what stands behind the blocks: a head, or the keys
// and values of every layer of the decoder.
#include "models/builder.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "graph/ops.h"
#include "models/rope.h"

namespace miao::models {

namespace {

using graph::Buffer;
using graph::Store;
using QkNorm = AttentionSpec::QkNorm;

class Builder {
 public:
  Builder(const ModelSpec& spec, const Weights& weights, kernels::KvType kv, int64_t ctx, graph::Program& program)
      : s_(spec), w_(weights), kv_(kv), ctx_(ctx), p_(program) {}

  void build() {
    x_ = p_.buffer("x", s_.dim);
    embed();
    const auto rotates = [&](bool sliding) {
      for (int64_t i = 0; i < s_.layers; ++i) {
        if (rotated(i) && s_.sliding[static_cast<size_t>(i)] == sliding) return true;
      }
      return false;
    };
    if (s_.distance_buckets > 0) spread_distances();
    if (rotates(false)) full_ = rotation("rotation", s_.rope);
    if (rotates(true)) local_ = rotation("local_rotation", s_.local_rope);
    for (int64_t i = 0; i < s_.layers; ++i) {
      p_.begin_block(x_);
      block(i);
    }
    p_.end_blocks();
  }

  void build_alone() {
    build();
    if (encoder()) {
      head();
    } else {
      output();
    }
  }

  // Of an encoder-decoder: the encoder, which leaves keys and values for every block of the decoder.
  void build_for(const ModelSpec& decoder, const std::vector<BlockWeights>& blocks) {
    build();
    if (s_.output_norm) graph::add_norm(p_, "enc.output_norm", norm(w_.output_norm), 0, x_);
    for (size_t i = 0; i < blocks.size(); ++i) {
      const graph::Linear& linear = *blocks[i].cross_kv;
      const std::string name = "dec.blk." + std::to_string(i) + ".cross_kv";
      Buffer* const kv = p_.buffer(name, linear.width());
      graph::add_linear(p_, name, linear, std::nullopt, x_, Store::assign, kv);
      graph::add_store_memory(p_, "dec.blk." + std::to_string(i) + ".memory",
                              cross_attention(decoder, static_cast<int64_t>(i), linear), kv);
    }
  }

 private:
  graph::Norm norm(const NormWeights& w) const {
    return {.weight = w.weight.data(),
            .size = static_cast<int64_t>(w.weight.size()),
            .eps = static_cast<float>(s_.eps),
            .layer = s_.layer_norm,
            .bias = w.bias.empty() ? nullptr : w.bias.data()};
  }
  std::optional<graph::Norm> norm_if_any(const NormWeights& w) const {
    return w.weight.empty() ? std::nullopt : std::optional(norm(w));
  }
  bool encoder() const { return s_.shape == ModelSpec::Shape::encoder; }
  const BlockWeights& weights(int64_t layer) const {
    return w_.blocks[s_.shared_blocks ? 0 : static_cast<size_t>(layer)];
  }
  bool rotated(int64_t layer) const {
    return s_.block.attn.rotary_dim > 0 && (s_.rotated.empty() || s_.rotated[static_cast<size_t>(layer)]);
  }
  Buffer* rotation(const char* name, const RopeSpec& rope) {
    RopeTable table = rope_table(rope, s_.block.attn.rotary_dim, s_.ctx, ctx_);
    return graph::add_rotation(p_, name, std::move(table.frequency), table.factor);
  }

  // Frames become rows: a convolution of all of them, in a program of its own, and one of every second.
  void convolve() {
    Buffer* const window = p_.buffer("window", 3 * s_.dim);
    graph::add_window(p_, "window", s_.dim, 2, window);
    graph::add_activated(p_, "conv2", *w_.conv2, kernels::Act::gelu, std::nullopt, window, x_);
    graph::add_positions(p_, w_.positions, s_.position_offset, x_);
  }

  // sin | cos
  TensorView sinusoids() {
    const int64_t half = s_.dim / 2, rows = std::min(s_.positions, ctx_ + s_.position_offset);
    const bool by_half = s_.sinusoids == ModelSpec::Sinusoids::by_half;
    std::vector<float> table(static_cast<size_t>(rows * s_.dim));
    for (int64_t i = 0; i < half; ++i) {
      const double share =
          static_cast<double>(i) / static_cast<double>(by_half ? half : std::max<int64_t>(1, half - 1));
      const double frequency = std::exp(-std::log(1e4) * share);
      for (int64_t row = 0; row < rows; ++row) {
        const double angle = static_cast<double>(row) * frequency;
        table[static_cast<size_t>(row * s_.dim + i)] = static_cast<float>(std::sin(angle));
        table[static_cast<size_t>(row * s_.dim + half + i)] = static_cast<float>(std::cos(angle));
      }
    }
    TensorView out{.name = "sinusoids", .dtype = DType::f32, .shape = {rows, s_.dim}};
    out.bytes = table.size() * sizeof(float);
    out.data = reinterpret_cast<const std::byte*>(p_.keep(std::move(table)));
    return out;
  }

  bool reads_head() const { return s_.tied && !w_.head->reads_row_codes(); }

  void embed() {
    if (s_.features > 0) return convolve();
    Buffer* const e = w_.project_in ? p_.buffer("embedding", s_.embedding_dim) : x_;
    const auto scale = static_cast<float>(s_.embedding_scale);
    if (reads_head()) {
      graph::add_embedding(p_, *w_.head, scale, e);
    } else {
      graph::add_embedding(p_, w_.embedding, scale, e);
    }
    const bool first = encoder() || !w_.project_in;  // positions have the width of the embedding
    if (s_.positions > 0 && first) graph::add_positions(p_, positions(), s_.position_offset, e);
    if (s_.token_types > 0) graph::add_token_types(p_, w_.token_types, e);
    if (s_.embedding_norm) graph::add_norm(p_, "embedding_norm", norm(w_.embedding_norm), 0, e);
    if (w_.project_in) graph::add_linear(p_, "project_in", *w_.project_in, std::nullopt, e, Store::assign, x_);
    if (s_.positions > 0 && !first) graph::add_positions(p_, positions(), s_.position_offset, x_);
  }
  TensorView positions() { return s_.sinusoids == ModelSpec::Sinusoids::none ? w_.positions : sinusoids(); }

  // x += linear(in), with the norms that belong to it.
  void add_back(const std::string& name, const graph::Linear& linear, Buffer* in, const NormWeights& post) {
    if (s_.block.post_norms) {
      Buffer* const y = p_.buffer(name, s_.dim);
      graph::add_linear(p_, name, linear, std::nullopt, in, Store::assign, y);
      graph::add_norm_residual(p_, name + "_norm", norm(post), y, x_);
      return;
    }
    graph::add_linear(p_, name, linear, std::nullopt, in, Store::accumulate, x_,
                      static_cast<float>(s_.block.residual_scale));
    if (s_.block.after_norms) graph::add_norm(p_, name + "_norm", norm(post), 0, x_);
  }

  // T5's buckets: distances of their own up to a point, then ever wider ones; keys behind the query, which a decoder
  // does not see, in the upper half.
  int64_t bucket(int64_t distance) const {
    const int64_t buckets = encoder() ? s_.distance_buckets / 2 : s_.distance_buckets, exact = buckets / 2;
    if (!encoder() && distance > 0) return 0;
    const int64_t n = std::abs(distance), upper = distance > 0 ? buckets : 0;
    if (n < exact) return upper + n;
    const auto farthest = static_cast<float>(s_.distance_farthest);
    const float wide = std::log(static_cast<float>(n) / static_cast<float>(exact)) /
                       std::log(farthest / static_cast<float>(exact)) * static_cast<float>(buckets - exact);
    return upper + std::min(exact + static_cast<int64_t>(wide), buckets - 1);
  }
  void spread_distances() {
    const int64_t heads = s_.block.attn.heads;
    reach_ = ctx_ + kernels::kPage;
    std::vector<float> table;
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t d = -reach_; d <= reach_; ++d)
        table.push_back(w_.distance_bias[static_cast<size_t>(bucket(d) * heads + h)]);
    }
    distances_ = p_.keep(std::move(table));
  }

  void self_attention(int64_t layer, const std::string& name, Buffer* qkv, Buffer* rotation, Buffer* out) {
    const AttentionSpec& a = s_.block.attn;
    const BlockWeights& w = weights(layer);
    graph::add_self_attention(p_, name,
                              {.heads = a.heads,
                               .head_dim = a.head_dim,
                               .q = w.qkv.offset(0),
                               .k = w.qkv.offset(1),
                               .v = w.qkv.offset(2),
                               .half = rotation ? a.rotary_dim / 2 : 0,
                               .window = s_.sliding[static_cast<size_t>(layer)] ? s_.window : 0,
                               .scale = static_cast<float>(a.scale),
                               .bias = distances_,
                               .reach = reach_},
                              qkv, rotation, out);
  }

  graph::Attention attention(int64_t layer) const {
    const AttentionSpec& a = s_.block.attn;
    const BlockWeights& w = weights(layer);
    graph::Attention out;
    out.layer = layer;
    out.heads = a.heads;
    out.kv_heads = a.kv_heads;
    out.head_dim = a.head_dim;
    out.q = w.qkv.offset(0);
    out.k = w.qkv.offset(1);
    out.v = w.qkv.offset(2);
    out.half = rotated(layer) ? a.rotary_dim / 2 : 0;
    out.interleaved = a.interleaved;
    if (a.qk_norm == QkNorm::head || a.qk_norm == QkNorm::each_head) {
      out.q_norm = norm(w.q_norm);
      out.k_norm = norm(w.k_norm);
      out.q_norm->size = out.k_norm->size = a.head_dim;
      out.norm_each = a.qk_norm == QkNorm::each_head;
    }
    out.kv = kv_;
    out.window = s_.sliding[static_cast<size_t>(layer)] ? s_.window : 0;
    out.scale = static_cast<float>(a.scale);
    out.softcap = static_cast<float>(a.softcap);
    out.bias = distances_;
    out.reach = reach_;
    return out;
  }

  graph::CrossAttention cross_attention(const ModelSpec& decoder, int64_t layer, const graph::Linear& kv) const {
    const AttentionSpec& a = decoder.block.attn;
    return {.layer = layer,
            .heads = a.heads,
            .head_dim = a.head_dim,
            .k = kv.offset(0),
            .v = kv.offset(1),
            .kv = kv_,
            .scale = static_cast<float>(a.scale)};
  }

  void cross(int64_t layer, const std::string& blk, const BlockWeights& w) {
    Buffer* const q = p_.buffer(blk + "cross_q", w.cross_q->width());
    Buffer* const attn = p_.buffer(blk + "cross_attn", s_.block.attn.heads * s_.block.attn.head_dim);
    graph::add_linear(p_, blk + "cross_q", *w.cross_q, norm_if_any(w.cross_norm), x_, Store::assign, q);
    graph::add_cross_attention(p_, blk + "cross_attn", cross_attention(s_, layer, *w.cross_kv), q, attn);
    add_back(blk + "cross_o", *w.cross_o, attn, w.post_cross_norm);
  }

  void block(int64_t layer) {
    const AttentionSpec& a = s_.block.attn;
    const FfnSpec& f = s_.block.ffn;
    const BlockWeights& w = weights(layer);
    const bool sliding = s_.sliding[static_cast<size_t>(layer)];
    const bool parallel = s_.block.parallel != BlockSpec::Parallel::no;
    const std::string blk = s_.side + "blk." + std::to_string(layer) + ".";

    Buffer* const qkv = p_.buffer(blk + "qkv", w.qkv.width());
    Buffer* const attn = p_.buffer(blk + "attn", a.heads * a.head_dim);
    graph::add_linear(p_, blk + "qkv", w.qkv, norm_if_any(w.attn_norm), x_, Store::assign, qkv);
    if (a.qk_norm == QkNorm::all) {
      graph::add_norm(p_, blk + "q_norm", norm(w.q_norm), w.qkv.offset(0), qkv);
      graph::add_norm(p_, blk + "k_norm", norm(w.k_norm), w.qkv.offset(1), qkv);
    }
    Buffer* const rotation = !rotated(layer) ? nullptr : sliding ? local_ : full_;
    if (encoder()) {
      self_attention(layer, blk + "attn", qkv, rotation, attn);
    } else {
      graph::add_attention(p_, blk + "attn", attention(layer), qkv, rotation, attn);
    }
    const bool selects = layer == s_.layers - 1 && selects_early();
    if (selects && !w.cross_q) p_.select({x_, attn});
    if (!parallel) add_back(blk + "o", w.o, attn, w.post_attn_norm);
    if (w.cross_q) cross(layer, blk, w);
    if (selects && w.cross_q) p_.select({x_});
    if (f.experts > 0) {
      graph::Experts experts{.router = &w.router, .used = f.experts_used, .normalised = f.normalised, .act = f.act};
      for (const graph::Linear& linear : w.expert_gate_up) experts.gate_up.push_back(&linear);
      for (const graph::Linear& linear : w.expert_down) experts.down.push_back(&linear);
      graph::add_experts(p_, blk + "experts", experts, norm(w.ffn_norm), x_);
      return;
    }
    Buffer* const ffn = p_.buffer(blk + "ffn", f.dim);
    const bool shared = s_.block.parallel == BlockSpec::Parallel::shared_norm;
    graph::add_activated(p_, blk + "gate_up", w.gate_up, f.act, norm_if_any(shared ? w.attn_norm : w.ffn_norm), x_,
                         ffn);
    if (parallel) add_back(blk + "o", w.o, attn, w.post_attn_norm);
    add_back(blk + "down", w.down, ffn, w.post_ffn_norm);
  }

  // Rows that nobody wants leave before the last FFN, unless their mean is wanted.
  bool selects_early() const { return !encoder() || (s_.head.pooled() && s_.head.pool == SentenceSpec::Pool::first); }

  void head() {
    const HeadSpec& h = s_.head;
    if (s_.output_norm) graph::add_norm(p_, "output_norm", norm(w_.output_norm), 0, x_);
    if (h.pooled() && h.pool == SentenceSpec::Pool::mean) {
      graph::add_mean(p_, "mean", x_);
      p_.select({x_});
    }
    Buffer* x = x_;
    if (w_.dense) {
      x = p_.buffer("dense", s_.dim);
      graph::add_activated(p_, "dense", *w_.dense, h.act, std::nullopt, x_, x);
    }
    if (h.dense_norm) graph::add_norm(p_, "dense_norm", norm(w_.dense_norm), 0, x);
    if (w_.head) {
      graph::add_logits(p_, "head", *w_.head, {}, x);
    } else {
      graph::add_output(p_, "output", x, h.normalise);
    }
  }

  void output() {
    graph::Logits logits{.norm = norm_if_any(w_.output_norm),
                         .factor = static_cast<float>(s_.logit_scale),
                         .softcap = static_cast<float>(s_.final_softcap)};
    Buffer* x = x_;
    if (w_.project_out) {
      x = p_.buffer("projected", s_.embedding_dim);
      graph::add_linear(p_, "project_out", *w_.project_out, logits.norm, x_, Store::assign, x);
      logits.norm.reset();
    }
    graph::add_logits(p_, "lm_head", *w_.head, logits, x);
  }

  const ModelSpec& s_;
  const Weights& w_;
  kernels::KvType kv_;
  int64_t ctx_;
  graph::Program& p_;
  Buffer* x_ = nullptr;
  const float* distances_ = nullptr;  // (heads, 2 * reach + 1)
  int64_t reach_ = 0;
  Buffer *full_ = nullptr, *local_ = nullptr;  // rotations of full and of sliding layers
};

}  // namespace

void build_program(const ModelSpec& spec, const Weights& weights, kernels::KvType kv, int64_t ctx,
                   graph::Program& program) {
  Builder(spec, weights, kv, ctx, program).build_alone();
}

void build_encoder(const ModelSpec& spec, const Weights& weights, kernels::KvType kv, int64_t ctx,
                   graph::Program& program) {
  Builder(*spec.encoder, *weights.encoder, kv, ctx, program).build_for(spec, weights.blocks);
}

void build_convolution(const ModelSpec& spec, const Weights& weights, graph::Program& program) {
  Buffer* const window = program.buffer("frames", 3 * spec.features);
  Buffer* const out = program.buffer("conv1", spec.dim);
  graph::add_window(program, "frames", spec.features, 1, window);
  graph::add_activated(program, "conv1", *weights.conv1, kernels::Act::gelu, std::nullopt, window, out);
  graph::add_output(program, "frames_out", out, false);
}

}  // namespace miao::models
