// Tensors as GGUF files have them; see convert.h. The source's spec says how its files differ:
//
//   transposed      matrices of blocks (in, out)            -> (out, in)                              GPT-2
//   norm_plus_one   norm weights less one                   -> whole                                  Gemma
//   by_head         q k v of each head                      -> q | k | v                              GPT-NeoX
//   numbered        one tensor an expert, one norm a head   -> (experts, out, in), (heads, head_dim)
//   position_offset rows that no position has               -> left out                               RoBERTa
//
// and the family's GgufForm whether rows of q and k are paired: rows i and i + head_dim / 2 of each head, which the
// rotation turns together, become neighbours.
#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "models/convert/parts.h"

namespace miao::models {

namespace {

using Part = ConvertedTensor::Part;

// Canonical names in parts: "enc.blk.3.ffn_up.7.weight" is the tensor "ffn_up" of a block, and the seventh of its kind.
struct Name {
  std::string whole;  // "enc.blk.3.ffn_up.weight"
  std::string stem;   // "ffn_up"
  std::string suffix;
  bool block = false, numbered = false;
};

Name parse(const std::string& canonical) {
  Name out;
  const size_t dot = canonical.rfind('.');
  out.suffix = canonical.substr(dot);
  std::string rest = canonical.substr(0, dot), front;
  const auto take = [&](size_t end) {
    front += rest.substr(0, end);
    rest.erase(0, end);
  };
  if (rest.starts_with("enc.") || rest.starts_with("dec.")) take(4);
  if (rest.starts_with("blk.")) {
    take(rest.find('.', 4) + 1);
    out.block = true;
  }
  const size_t last = rest.rfind('.');
  if (last != std::string::npos && rest.find_first_not_of("0123456789", last + 1) == std::string::npos) {
    rest.resize(last);
    out.numbered = true;
  }
  out.stem = rest;
  // Both sides of an encoder-decoder have one table of tokens.
  if (out.stem == "token_embd") front.clear();
  out.whole = front + rest + (out.numbered && rest.starts_with("ffn_") ? "_exps" : "") + out.suffix;
  return out;
}

// Values of a vector in another order, or with one added.
template <class From>
std::vector<float> gathered(const TensorView& t, int64_t n, float add, const From& from) {
  std::vector<float> all(static_cast<size_t>(t.elements())), out(static_cast<size_t>(n));
  format(t.dtype).decode(t.data, all.data(), t.elements());
  for (int64_t i = 0; i < n; ++i) out[static_cast<size_t>(i)] = all[static_cast<size_t>(from(i))] + add;
  return out;
}

class Converter {
 public:
  Converter(const Source& source, const ModelSpec& spec, const Family& family)
      : source_(source), spec_(spec), family_(family) {}

  Result<void> add(const TensorUse& use) {
    const TensorView* t = source_.checkpoint().find(use.name);
    MIAO_CHECK(t != nullptr);
    const Name name = parse(use.canonical);
    const std::string own = gguf_tensor_name(family_.hf, name.whole);
    if (!seen_.insert(name.numbered ? use.canonical : own).second) return {};
    if (name.numbered) {
      stack(own, *t);
      return {};
    }
    MIAO_TRY(ConvertedTensor one, convert(own, name, *t));
    out_.push_back(std::move(one));
    return {};
  }

  std::vector<ConvertedTensor> finish() && {
    std::vector<ConvertedTensor> out;
    std::move(out_.begin(), out_.end(), std::back_inserter(out));
    for (Stack& s : stacks_) {
      std::vector<int64_t> shape = s.parts[0].view.shape;
      shape.insert(shape.begin(), static_cast<int64_t>(s.parts.size()));
      out.emplace_back(std::move(s.name), std::move(shape), std::move(s.parts));
    }
    return out;
  }

 private:
  struct Stack {
    std::string name;
    std::vector<Part> parts;
  };

  void stack(const std::string& name, const TensorView& t) {
    const auto [at, fresh] = stack_of_.emplace(name, stacks_.size());
    if (fresh) stacks_.push_back({name, {}});
    stacks_[at->second].parts.push_back({t, {}, t.rows()});
  }

  Result<ConvertedTensor> convert(const std::string& name, const Name& parts, const TensorView& t) const {
    const AttentionSpec& a = spec_.block.attn;
    const bool vector = t.shape.size() == 1;
    if (spec_.norm_plus_one && parts.suffix == ".weight" && parts.stem.ends_with("norm")) {
      return ConvertedTensor(name, t.shape, t.dtype, gathered(t, t.elements(), 1, [](int64_t i) { return i; }));
    }
    if (parts.stem == "position_embd" && spec_.position_offset > 0) {
      const int64_t rows = t.rows() - spec_.position_offset;
      return ConvertedTensor(name, {rows, t.cols()}, {{t, {.first = spec_.position_offset}, rows}});
    }
    if (parts.block && parts.stem == "attn_qkv" && a.fused == AttentionSpec::Fused::by_head) {
      return split_heads(name, t, vector);
    }
    if (family_.gguf.pairs && parts.block && (parts.stem == "attn_q" || parts.stem == "attn_k")) {
      if (a.rotary_dim != a.head_dim) {
        return Error{Code::unsupported, "GGUF files of this architecture rotate whole heads", source_.place(t.name)};
      }
      return pair_rows(name, t, vector);
    }
    if (spec_.transposed && parts.block && t.shape.size() == 2) {
      return ConvertedTensor(name, {t.shape[1], t.shape[0]}, {{t, {.transposed = true}, t.shape[1]}});
    }
    return ConvertedTensor(name, t.shape, {{t, {}, t.rows()}});
  }

  ConvertedTensor split_heads(const std::string& name, const TensorView& t, bool vector) const {
    const int64_t d = spec_.block.attn.head_dim, n = spec_.block.attn.heads * d;
    if (vector) {
      return {name, t.shape, t.dtype,
              gathered(t, 3 * n, 0, [=](int64_t i) { return i % n / d * 3 * d + i / n * d + i % d; })};
    }
    std::vector<Part> parts;
    for (int64_t i = 0; i < 3; ++i) parts.push_back({t, {.first = i * d, .run = d, .step = 3 * d}, n});
    return {name, t.shape, std::move(parts)};
  }

  ConvertedTensor pair_rows(const std::string& name, const TensorView& t, bool vector) const {
    const int64_t d = spec_.block.attn.head_dim;
    if (vector) {
      return {name, t.shape, t.dtype,
              gathered(t, t.elements(), 0, [=](int64_t i) { return i / d * d + i % d % 2 * (d / 2) + i % d / 2; })};
    }
    ConvertedTensor out(name, t.shape, {{t, {}, t.rows()}});
    out.pair(d);
    return out;
  }

  const Source& source_;
  const ModelSpec& spec_;
  const Family& family_;
  std::vector<ConvertedTensor> out_;
  std::vector<Stack> stacks_;
  std::unordered_map<std::string, size_t> stack_of_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

ConvertedTensor::ConvertedTensor(std::string name, std::vector<int64_t> shape, std::vector<Part> parts)
    : name_(std::move(name)), shape_(std::move(shape)), dtype_(parts[0].view.dtype), parts_(std::move(parts)) {
  int64_t rows = 0;
  for (const Part& p : parts_) rows += p.rows;
  MIAO_CHECK(rows == this->rows());
}

ConvertedTensor::ConvertedTensor(std::string name, std::vector<int64_t> shape, DType dtype, std::vector<float> values)
    : name_(std::move(name)), shape_(std::move(shape)), dtype_(dtype), values_(std::move(values)) {
  MIAO_CHECK(static_cast<int64_t>(values_.size()) == rows() * cols());
}

int64_t ConvertedTensor::rows() const {
  int64_t n = 1;
  for (size_t i = 0; i + 1 < shape_.size(); ++i) n *= shape_[i];
  return n;
}

static bool convolution(std::string_view name) {
  return name.ends_with("conv1.weight") || name.ends_with("conv2.weight");
}

bool stays_float(std::string_view name, size_t dimensions) {
  if (dimensions < 2) return true;
  for (const std::string_view end : {"_norm.weight", "ffn_gate_inp.weight", "attn_rel_b.weight", ".bias"}) {
    if (name.ends_with(end)) return true;
  }
  return name.ends_with("position_embd.weight") || name == "token_types.weight" || convolution(name);
}

DType ConvertedTensor::gguf_type() const {
  const bool of_side = name_.starts_with("enc.") || name_.starts_with("dec.");
  const bool large = convolution(name_) || (of_side && name_.ends_with("position_embd.weight"));
  return stays_float() && !large ? DType::f32 : dtype_;
}

std::pair<const Part*, int64_t> ConvertedTensor::find(int64_t row) const {
  if (pair_ > 0) row = row / pair_ * pair_ + row % pair_ % 2 * (pair_ / 2) + row % pair_ / 2;
  for (const Part& p : parts_) {
    if (row < p.rows) return {&p, p.map(row)};
    row -= p.rows;
  }
  MIAO_CHECK(false);
  return {};
}

void ConvertedTensor::decode(int64_t begin, int64_t end, float* out) const {
  MIAO_CHECK(begin >= 0 && begin <= end && end <= rows());
  const int64_t n = cols();
  if (!values_.empty()) {
    std::copy(values_.begin() + begin * n, values_.begin() + end * n, out);
    return;
  }
  for (int64_t r = begin; r < end; ++r, out += n) {
    const auto [part, row] = find(r);
    const TensorView& t = part->view;
    const Format& f = format(t.dtype);
    if (!part->map.transposed) {
      f.decode(t.row(row), out, n);
      continue;
    }
    for (int64_t c = 0; c < n; ++c) f.decode(t.row(c) + row * f.bytes, out + c, 1);
  }
}

bool ConvertedTensor::moved_only() const {
  return values_.empty() && std::all_of(parts_.begin(), parts_.end(),
                                        [&](const Part& p) { return !p.map.transposed && p.view.dtype == dtype_; });
}

void ConvertedTensor::copy(int64_t begin, int64_t end, std::byte* out) const {
  MIAO_CHECK(moved_only() && begin >= 0 && begin <= end && end <= rows());
  const auto n = static_cast<size_t>(row_bytes(dtype_, cols()));
  for (int64_t r = begin; r < end; ++r, out += n) {
    const auto [part, row] = find(r);
    std::memcpy(out, part->view.row(row), n);
  }
}

Result<std::vector<ConvertedTensor>> convert_tensors(const Source& source, const ModelSpec& spec, const Family& family,
                                                     const std::vector<TensorUse>& used) {
  Converter converter(source, spec, family);
  for (const TensorUse& use : used) MIAO_CHECK_OK(converter.add(use));
  return std::move(converter).finish();
}

}  // namespace miao::models
