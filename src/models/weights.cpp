#include "models/weights.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "kernels/table.h"

namespace miao::models {

namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

class Reader {
 public:
  Reader(const Source& source, const ModelSpec& spec, const graph::Context& context, bool f32)
      : source_(source),
        spec_(spec),
        context_(context),
        precision_(f32 ? graph::Precision::f32 : graph::Precision::file) {}

  Result<Weights> read() {
    Weights w;
    MIAO_TRY(w.embedding, matrix("token_embd", spec_.vocab, spec_.dim));
    MIAO_TRY(w.output_norm, norm("output_norm", spec_.dim));
    for (int64_t i = 0; i < spec_.layers; ++i) {
      MIAO_TRY(BlockWeights block, read_block("blk." + std::to_string(i) + "."));
      w.blocks.push_back(std::move(block));
    }
    graph::LinearPart head{w.embedding, {}};
    if (!spec_.tied) {
      MIAO_TRY(head.weight, matrix("output", spec_.vocab, spec_.dim));
    }
    MIAO_TRY(w.head, graph::Linear::describe(context_, {std::move(head)}, precision_));
    MIAO_CHECK_OK(source_.all_used(used_));
    w.all_f32 = all_f32_;
    return w;
  }

 private:
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

  Result<TensorView> matrix(const std::string& stem, int64_t rows, int64_t cols) {
    MIAO_TRY(const TensorView* t, tensor(stem + ".weight", {rows, cols}));
    if (format(t->dtype).decode == nullptr) {
      return Error{Code::unsupported, std::string("its type ") + format(t->dtype).name + " is not a weight type",
                   source_.place(t->name)};
    }
    all_f32_ &= t->dtype == DType::f32;
    return *t;
  }

  Result<std::vector<float>> vector(const std::string& canonical, int64_t n) {
    MIAO_TRY(const TensorView* t, tensor(canonical, {n}));
    if (t->dtype != DType::f32 && t->dtype != DType::f16 && t->dtype != DType::bf16) {
      return Error{Code::unsupported,
                   std::string("its type is ") + format(t->dtype).name + ", expected F32, F16 or BF16",
                   source_.place(t->name)};
    }
    std::vector<float> out(static_cast<size_t>(n));
    format(t->dtype).decode(t->data, out.data(), n);
    return out;
  }

  Result<std::vector<float>> norm(const std::string& stem, int64_t n) {
    MIAO_TRY(std::vector<float> out, vector(stem + ".weight", n));
    if (spec_.norm_plus_one) {
      for (float& value : out) value += 1;
    }
    return out;
  }

  Result<graph::LinearPart> part(const std::string& stem, int64_t rows, int64_t cols, bool bias) {
    graph::LinearPart out;
    MIAO_TRY(out.weight, matrix(stem, rows, cols));
    if (bias) {
      MIAO_TRY(out.bias, vector(stem + ".bias", rows));
    }
    return out;
  }

  Result<BlockWeights> read_block(const std::string& blk) {
    const AttentionSpec& a = spec_.block.attn;
    const FfnSpec& f = spec_.block.ffn;
    const int64_t q_dim = a.heads * a.head_dim;
    const int64_t kv_dim = a.kv_heads * a.head_dim;
    BlockWeights b;
    MIAO_TRY(b.attn_norm, norm(blk + "attn_norm", spec_.dim));
    MIAO_TRY(graph::LinearPart q, part(blk + "attn_q", q_dim, spec_.dim, a.qkv_bias));
    MIAO_TRY(graph::LinearPart k, part(blk + "attn_k", kv_dim, spec_.dim, a.qkv_bias));
    MIAO_TRY(graph::LinearPart v, part(blk + "attn_v", kv_dim, spec_.dim, a.qkv_bias));
    MIAO_TRY(b.qkv, linear({std::move(q), std::move(k), std::move(v)}));
    MIAO_TRY(graph::LinearPart o, part(blk + "attn_output", spec_.dim, q_dim, a.o_bias));
    MIAO_TRY(b.o, linear({std::move(o)}));
    if (a.qk_norm) {
      MIAO_TRY(b.q_norm, norm(blk + "attn_q_norm", a.head_dim));
      MIAO_TRY(b.k_norm, norm(blk + "attn_k_norm", a.head_dim));
    }
    MIAO_TRY(b.ffn_norm, norm(blk + "ffn_norm", spec_.dim));
    MIAO_TRY(graph::LinearPart gate, part(blk + "ffn_gate", f.dim, spec_.dim, f.bias));
    MIAO_TRY(graph::LinearPart up, part(blk + "ffn_up", f.dim, spec_.dim, f.bias));
    MIAO_TRY(b.gate_up, linear({std::move(gate), std::move(up)}));
    MIAO_TRY(graph::LinearPart down, part(blk + "ffn_down", spec_.dim, f.dim, f.bias));
    MIAO_TRY(b.down, linear({std::move(down)}));
    if (spec_.block.post_norms) {
      MIAO_TRY(b.post_attn_norm, norm(blk + "post_attention_norm", spec_.dim));
      MIAO_TRY(b.post_ffn_norm, norm(blk + "post_ffw_norm", spec_.dim));
    }
    return b;
  }

  Result<graph::Linear> linear(std::vector<graph::LinearPart> parts) {
    return graph::Linear::describe(context_, std::move(parts), precision_);
  }

  const Source& source_;
  const ModelSpec& spec_;
  const graph::Context& context_;
  graph::Precision precision_;
  bool all_f32_ = true;
  std::vector<std::string> used_;
};

template <class Body>
void for_linears(Weights& w, const Body& body) {
  body(w.head);
  for (BlockWeights& b : w.blocks) {
    for (graph::Linear* linear : {&b.qkv, &b.o, &b.gate_up, &b.down}) body(*linear);
  }
}

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

int64_t padded_bytes(const graph::Linear& linear) { return kernels::round_up(linear.packed_bytes(), 64); }

}  // namespace

Result<Weights> describe_weights(const Source& source, const ModelSpec& spec, const graph::Context& context, bool f32) {
  return Reader(source, spec, context, f32).read();
}

int64_t packed_bytes(const Weights& weights) {
  int64_t total = padded_bytes(weights.head);
  for (const BlockWeights& b : weights.blocks) {
    total += padded_bytes(b.qkv) + padded_bytes(b.o) + padded_bytes(b.gate_up) + padded_bytes(b.down);
  }
  return total;
}

Result<void> pack_weights(const Source& source, const graph::Context& context, Weights& weights,
                          const std::atomic<bool>* cancel) {
  MIAO_TRY(weights.memory, Memory::allocate(static_cast<size_t>(packed_bytes(weights))));
  std::byte* at = weights.memory.data();
  Pages pages(source.checkpoint());
  for_linears(weights, [&](graph::Linear& linear) {
    if (cancel && *cancel) return;
    linear.pack(context, at, [&](const TensorView& t) { pages.add(t); });
    at += padded_bytes(linear);
  });
  if (cancel && *cancel) return Error{Code::cancelled, "interrupted", {}};
  return {};
}

}  // namespace miao::models
