#include "models/weights.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "base/checksum.h"
#include "base/log.h"
#include "kernels/table.h"

namespace miao::models {

namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

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

class Reader {
 public:
  Reader(const Source& source, const ModelSpec& spec, const graph::Context& context, graph::Precision precision)
      : source_(source),
        spec_(spec),
        side_(spec.side),
        context_(context),
        precision_(precision),
        outer_(precision == graph::Precision::int8 ? graph::Precision::file : precision) {}

  Result<Weights> read() {
    Weights w;
    MIAO_CHECK_OK(read_embeddings(w));
    if (spec_.output_norm) {
      MIAO_TRY(w.output_norm, norm(side_ + "output_norm", spec_.dim));
    }
    for (int64_t i = 0; i < (spec_.shared_blocks ? 1 : spec_.layers); ++i) {
      MIAO_TRY(BlockWeights block, read_block(side_ + "blk." + std::to_string(i) + ".", i == 0));
      w.blocks.push_back(std::move(block));
    }
    if (spec_.shape != ModelSpec::Shape::encoder) {
      MIAO_CHECK_OK(read_output(w));
    } else {
      MIAO_CHECK_OK(read_head(w));
    }
    w.all_f32 = all_f32_;
    return w;
  }
  const std::vector<std::string>& used() const { return used_; }  // names of tensors, as the file has them

 private:
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

  Result<const TensorView*> tensor(const std::string& canonical, const std::vector<int64_t>& shape) {
    std::string name = source_.tensor_name(canonical);
    const TensorView* t = source_.checkpoint().find(name);
    if (!t) return Error{Code::not_found, "the tensor is missing", source_.place(name)};
    if (t->shape != shape) {
      return Error{Code::invalid, "its shape is " + shape_text(t->shape) + ", expected " + shape_text(shape),
                   source_.place(name)};
    }
    used_.push_back(std::move(name));
    return t;
  }

  // A tensor of a type that can be multiplied.
  Result<const TensorView*> weight(const std::string& stem, const std::vector<int64_t>& shape) {
    MIAO_TRY(const TensorView* t, tensor(stem + ".weight", shape));
    if (format(t->dtype).decode == nullptr) {
      return Error{Code::unsupported, std::string("its type ") + format(t->dtype).name + " is not a weight type",
                   source_.place(t->name)};
    }
    all_f32_ &= t->dtype == DType::f32;
    return t;
  }
  // Over three frames of `values` each: (dim, values, 3).
  Result<graph::Linear> convolution(const std::string& name, int64_t values) {
    MIAO_TRY(const TensorView* t, weight(side_ + name, {spec_.dim, values, 3}));
    graph::LinearPart only{.weight = *t};
    only.weight.shape = {spec_.dim, 3 * values};
    MIAO_TRY(only.bias, vector(side_ + name + ".bias", spec_.dim));
    return describe({std::move(only)}, outer_);
  }
  Result<TensorView> matrix(const std::string& stem, int64_t rows, int64_t cols) {
    MIAO_TRY(const TensorView* t, weight(stem, {rows, cols}));
    return *t;
  }

  Result<std::vector<float>> vector(const std::string& canonical, std::vector<int64_t> shape) {
    MIAO_TRY(const TensorView* t, tensor(canonical, shape));
    if (t->dtype != DType::f32 && t->dtype != DType::f16 && t->dtype != DType::bf16) {
      return Error{Code::unsupported,
                   std::string("its type is ") + format(t->dtype).name + ", expected F32, F16 or BF16",
                   source_.place(t->name)};
    }
    std::vector<float> out(static_cast<size_t>(t->elements()));
    format(t->dtype).decode(t->data, out.data(), t->elements());
    return out;
  }
  Result<std::vector<float>> vector(const std::string& canonical, int64_t n) {
    return vector(canonical, std::vector<int64_t>{n});
  }

  Result<NormWeights> norm(const std::string& stem, int64_t n) {
    NormWeights out;
    MIAO_TRY(out.weight, vector(stem + ".weight", n));
    if (spec_.norm_plus_one) {
      for (float& value : out.weight) value += 1;
    }
    if (spec_.norm_bias) {
      MIAO_TRY(out.bias, vector(stem + ".bias", n));
    }
    return out;
  }

  // The norm of q or k.
  Result<NormWeights> head_norm(const std::string& stem, int64_t heads) {
    using QkNorm = AttentionSpec::QkNorm;
    const int64_t dim = spec_.block.attn.head_dim;
    NormWeights out;
    if (spec_.block.attn.qk_norm != QkNorm::each_head) {
      return norm(stem, spec_.block.attn.qk_norm == QkNorm::all ? heads * dim : dim);
    }
    if (source_.gguf()) {
      MIAO_TRY(out.weight, vector(stem + ".weight", {heads, dim}));
      return out;
    }
    for (int64_t h = 0; h < heads; ++h) {
      MIAO_TRY(std::vector<float> own, vector(stem + "." + std::to_string(h) + ".weight", dim));
      out.weight.insert(out.weight.end(), own.begin(), own.end());
    }
    return out;
  }

  // `rows` of a tensor's `all` rows, which `map` finds.
  Result<graph::LinearPart> part(const std::string& stem, int64_t rows, int64_t all, int64_t cols, bool bias,
                                 graph::RowMap map) {
    graph::LinearPart out;
    map.transposed = spec_.transposed && of_block(stem);
    MIAO_TRY(out.weight, map.transposed ? matrix(stem, cols, all) : matrix(stem, all, cols));
    out.rows = rows;
    out.map = map;
    if (bias) {
      MIAO_TRY(std::vector<float> whole, vector(stem + ".bias", all));
      for (int64_t r = 0; r < rows; ++r) out.bias.push_back(whole[static_cast<size_t>(map(r))]);
    }
    return out;
  }
  Result<graph::LinearPart> part(const std::string& stem, int64_t rows, int64_t cols, bool bias) {
    return part(stem, rows, rows, cols, bias, {});
  }
  Result<graph::Linear> linear(const std::string& stem, int64_t rows, int64_t cols, bool bias) {
    MIAO_TRY(graph::LinearPart only, part(stem, rows, cols, bias));
    return describe({std::move(only)}, of_block(stem) ? precision_ : outer_);
  }
  bool of_block(const std::string& stem) const { return stem.starts_with(side_ + "blk."); }

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

  // Experts of GGUF files are one tensor (experts, rows, cols); old ones and Hugging Face files have one an expert.
  Result<graph::LinearPart> expert(const std::string& stem, int64_t index, int64_t rows, int64_t cols) {
    const int64_t experts = spec_.block.ffn.experts;
    if (!source_.gguf() || !source_.find(stem + "_exps.weight")) {
      return part(stem + "." + std::to_string(index), rows, cols, false);
    }
    graph::LinearPart out;
    MIAO_TRY(const TensorView* t, weight(stem + "_exps", {experts, rows, cols}));
    out.weight = *t;
    out.weight.shape = {experts * rows, cols};
    out.rows = rows;
    out.map.first = index * rows;
    return out;
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

  Result<graph::Linear> describe(std::vector<graph::LinearPart> parts, graph::Precision precision) {
    return graph::Linear::describe(context_, std::move(parts), precision);
  }

  const Source& source_;
  const ModelSpec& spec_;
  const std::string& side_;
  const graph::Context& context_;
  graph::Precision precision_;
  graph::Precision outer_;  // outside the blocks: what little is there is not worth a loss
  bool all_f32_ = true;
  std::vector<std::string> used_;
};

// Gives the pages of packed tensors back. Each time costs a message to every core, a fifth of the start when done for
// every tensor of a small model: so what stands together in the file is given back some MiB at a time.
class Pages {
 public:
  explicit Pages(const io::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}
  ~Pages() { give_back(); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  void add(const TensorView& t) {
    const std::byte* const end = t.data + t.bytes;
    const std::byte* const first = std::min(begin_, t.data, std::less<>());
    const std::byte* const last = std::max(end_, end, std::less<>());
    if (bytes_ > 0 && static_cast<uint64_t>(last - first) > 2 * (bytes_ + t.bytes)) give_back();  // far apart
    begin_ = bytes_ > 0 ? first : t.data;
    end_ = bytes_ > 0 ? last : end;
    bytes_ += t.bytes;
    if (bytes_ >= kBytes) give_back();
  }

 private:
  static constexpr uint64_t kBytes = uint64_t{8} << 20;

  void give_back() {
    if (bytes_ > 0) checkpoint_.release({begin_, static_cast<size_t>(end_ - begin_)});
    bytes_ = 0;
  }

  const io::Checkpoint& checkpoint_;
  const std::byte *begin_ = nullptr, *end_ = nullptr;  // covers all that was added
  uint64_t bytes_ = 0;                                 // added
};

// What the packed bytes depend on: the code that packs, the files, and what is made of them. Not the ISA: all pack
// alike.
PackKey pack_key(const io::Checkpoint& checkpoint, const Weights& weights) {
  std::string text = "layout " + std::to_string(kernels::kPackedLayout) + '\n' + checkpoint.identity();
  for_linears(weights, [&](const char*, const graph::Linear& linear) { text += linear.recipe(); });
  return {fingerprint(text), checkpoint.first_file().string()};
}

int64_t padded_bytes(const graph::Linear& linear) { return kernels::round_up(linear.packed_bytes(), 64); }

}  // namespace

Result<Weights> describe_weights(const Source& source, const ModelSpec& spec, const graph::Context& context,
                                 graph::Precision precision) {
  std::vector<std::string> used;
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
  if (spec.side != "enc.") MIAO_CHECK_OK(source.all_used(used));
  if (encoder) w.all_f32 &= encoder->all_f32;
  w.encoder = std::move(encoder);
  return w;
}

int64_t packed_bytes(const Weights& weights) {
  int64_t total = 0;
  for_linears(weights, [&](const char*, const graph::Linear& linear) { total += padded_bytes(linear); });
  return total;
}

Result<void> pack_weights(const Source& source, const graph::Context& context, Weights& weights,
                          const std::filesystem::path& folder, const std::atomic<bool>* cancel) {
  const auto bytes = static_cast<size_t>(packed_bytes(weights));
  Pages pages(source.checkpoint());
  if (!folder.empty() && bytes > 0) {
    weights.key = pack_key(source.checkpoint(), weights);
    for (const TensorView& t : source.checkpoint().tensors()) pages.add(t);  // norms brought in what is beside them
    auto pack = open_pack(folder, weights.key, bytes, context.pool);
    if (pack.ok()) {
      weights.pack = std::move(*pack);
      const std::byte* from = weights.pack.data();
      for_linears(weights, [&](const char*, graph::Linear& linear) {
        linear.attach(from);
        from += padded_bytes(linear);
      });
      return {};
    }
    if (pack.error().code != Code::not_found) log_info("packed weights: " + pack.error().str());
  }
  MIAO_TRY(weights.memory, Memory::allocate(bytes));
  std::byte* at = weights.memory.data();
  Result<void> packed;
  for_linears(weights, [&](const char*, graph::Linear& linear) {
    if (!packed.ok()) return;
    packed = cancel && *cancel ? Error{Code::cancelled, "interrupted", {}}
                               : linear.pack(context, at, [&](const TensorView& t) { pages.add(t); });
    at += padded_bytes(linear);
  });
  return packed;
}

}  // namespace miao::models
