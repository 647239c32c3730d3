// Whether two specs compute the same; see parts.h. Numbers of GGUF files are FP32, so they are compared as such.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/convert/parts.h"
#include "models/rope.h"

namespace miao::models {

namespace {

std::string text_of(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

class Comparison {
 public:
  Comparison(const ModelSpec& a, const ModelSpec& b, std::vector<std::string>& notes) : a_(a), b_(b), notes_(notes) {}

  std::optional<std::string> run(bool window) {
    sizes();
    norms();
    attention();
    feed_forward();
    positions();
    head();
    layers(window);
    return std::move(found_);
  }

 private:
  void tell(const char* what, const std::string& a, const std::string& b) {
    if (!found_) found_ = std::string(what) + ": " + a + " and " + b;
  }
  // Integers, enumerations and booleans; FP32.
  template <class T>
  void same(const char* what, T a, T b) {
    if (a != b) tell(what, std::to_string(static_cast<int64_t>(a)), std::to_string(static_cast<int64_t>(b)));
  }
  void same(const char* what, double a, double b) {
    constexpr double kRounding = 1e-6;  // a factor that is a quotient here and its inverse there
    if (std::fabs(a - b) > kRounding * std::max(std::fabs(a), std::fabs(b))) tell(what, text_of(a), text_of(b));
  }

  void sizes() {
    same("size of the vocabulary", a_.vocab, b_.vocab);
    same("width", a_.dim, b_.dim);
    same("layers", a_.layers, b_.layers);
    same("positions", a_.ctx, b_.ctx);
    same("width of embeddings", a_.embedding_dim, b_.embedding_dim);
    same("shared blocks", a_.shared_blocks, b_.shared_blocks);
    same("features", a_.features, b_.features);
    same("bias of the output", a_.output_bias, b_.output_bias);
    same("scale of embeddings", a_.embedding_scale, b_.embedding_scale);
    same("scale of logits", a_.logit_scale, b_.logit_scale);
    same("cap of logits", a_.final_softcap, b_.final_softcap);
  }

  void norms() {
    same("epsilon of norms", a_.eps, b_.eps);
    same("LayerNorm", a_.layer_norm, b_.layer_norm);
    same("biases of norms", a_.norm_bias, b_.norm_bias);
    same("norm behind the blocks", a_.output_norm, b_.output_norm);
    same("norm of embeddings", a_.embedding_norm, b_.embedding_norm);
    const BlockSpec &x = a_.block, &y = b_.block;
    same("norms before attention and FFN", x.pre_norms, y.pre_norms);
    same("norm before the first attention", x.first_norm, y.first_norm);
    same("norms behind attention and FFN", x.post_norms, y.post_norms);
    same("norms of sums", x.after_norms, y.after_norms);
    same("parallel attention and FFN", x.parallel, y.parallel);
    same("scale of residuals", x.residual_scale, y.residual_scale);
    same("cross attention", x.cross, y.cross);
  }

  void attention() {
    const AttentionSpec &x = a_.block.attn, &y = b_.block.attn;
    same("heads", x.heads, y.heads);
    same("heads of keys and values", x.kv_heads, y.kv_heads);
    same("size of heads", x.head_dim, y.head_dim);
    same("size of the rotation", x.rotary_dim, y.rotary_dim);
    same("biases of q, k and v", x.qkv_bias, y.qkv_bias);
    same("bias of k", x.k_bias, y.k_bias);
    same("bias of the attention's output", x.o_bias, y.o_bias);
    same("norms of q and k", x.qk_norm, y.qk_norm);
    same("scale of scores", x.scale, y.scale);
    same("cap of scores", x.softcap, y.softcap);
    const bool fused[2] = {x.fused != AttentionSpec::Fused::none, y.fused != AttentionSpec::Fused::none};
    same("q, k and v in one tensor", fused[0], fused[1]);
  }

  void feed_forward() {
    const FfnSpec &x = a_.block.ffn, &y = b_.block.ffn;
    same("size of the FFN", x.dim, y.dim);
    same("activation", x.act, y.act);
    same("gate of the FFN", x.gated, y.gated);
    same("gate and up in one tensor", x.fused, y.fused);
    same("biases of the FFN", x.bias, y.bias);
    same("experts", x.experts, y.experts);
    same("experts used", x.experts_used, y.experts_used);
    if (x.experts > 0) same("weights of experts that sum to one", x.normalised, y.normalised);
  }

  void positions() {
    same("learned positions", a_.positions - a_.position_offset, b_.positions - b_.position_offset);
    same("sines as positions", a_.sinusoids, b_.sinusoids);
    same("segments", a_.token_types, b_.token_types);
    same("buckets of distances", a_.distance_buckets, b_.distance_buckets);
    if (a_.distance_buckets > 0) same("farthest distance", a_.distance_farthest, b_.distance_farthest);
    if (a_.block.attn.rotary_dim > 0) rotation("rotation", a_.rope, b_.rope);
  }

  // Not how the scaling is written, but what comes out: without a stretch, and as far as the model goes.
  void rotation(const char* what, const RopeSpec& x, const RopeSpec& y) {
    if (x.scaling == RopeSpec::Scaling::dynamic && y.scaling == RopeSpec::Scaling::none) {
      same(what, x.theta, y.theta);
      notes_.push_back("GGUF has no dynamic scaling of the rotation: beyond " + std::to_string(a_.ctx) +
                       " positions the file is not scaled");
      return;
    }
    const int64_t dim = a_.block.attn.rotary_dim;
    if (found_ || dim != b_.block.attn.rotary_dim) return;
    for (const int64_t ctx : {std::clamp<int64_t>(x.original_ctx, 1, a_.ctx), a_.ctx}) {
      const RopeTable one = rope_table(x, dim, a_.ctx, ctx), other = rope_table(y, dim, b_.ctx, ctx);
      same(what, double{one.factor}, double{other.factor});
      for (size_t i = 0; i < one.frequency.size(); ++i)
        same(what, double{one.frequency[i]}, double{other.frequency[i]});
    }
  }

  void head() {
    const HeadSpec &x = a_.head, &y = b_.head;
    same("head", x.task, y.task);
    if (x.task == HeadSpec::Task::hidden) return;
    same("row of a sequence", x.pool, y.pool);
    same("dense layer of the head", x.dense, y.dense);
    same("bias of the head's dense layer", x.dense_bias, y.dense_bias);
    same("norm of the head", x.dense_norm, y.dense_norm);
    same("activation of the head", x.act, y.act);
    same("classes", x.outputs, y.outputs);
    if (x.labels != y.labels) tell("names of classes", std::to_string(x.labels.size()), "others");
  }

  static bool slides(const ModelSpec& s, size_t layer) { return s.window > 0 && s.sliding[layer]; }
  static bool rotates(const ModelSpec& s, size_t layer) { return s.rotated.empty() || s.rotated[layer]; }

  void layers(bool window) {
    if (found_) return;
    const auto n = static_cast<size_t>(a_.layers);
    bool any = false;
    for (size_t i = 0; i < n; ++i) {
      any |= slides(a_, i);
      if (rotates(a_, i) != rotates(b_, i)) tell("layers without a rotation", "layer " + std::to_string(i), "others");
    }
    if (!window && any) {
      notes_.push_back("GGUF files of this architecture have no sliding window, and the model has one of " +
                       std::to_string(a_.window) + " positions: beyond it the file answers as if there were none");
      return;
    }
    for (size_t i = 0; i < n; ++i) {
      if (slides(a_, i) != slides(b_, i)) tell("layers that slide", "layer " + std::to_string(i), "others");
    }
    if (!any) return;
    same("sliding window", a_.window, b_.window);
    if (a_.block.attn.rotary_dim > 0) rotation("rotation of sliding layers", a_.local_rope, b_.local_rope);
  }

  const ModelSpec &a_, &b_;
  std::vector<std::string>& notes_;
  std::optional<std::string> found_;
};

}  // namespace

std::optional<std::string> difference(const ModelSpec& source, const ModelSpec& target, const GgufForm& form,
                                      std::vector<std::string>& notes) {
  if (source.shape != target.shape) return "shape of the model";
  if (source.encoder) {
    if (auto found = Comparison(*source.encoder, *target.encoder, notes).run(form.window)) return "encoder: " + *found;
  }
  return Comparison(source, target, notes).run(form.window);
}

}  // namespace miao::models
