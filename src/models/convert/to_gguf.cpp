// The driver of the conversion; see convert.h.
#include <algorithm>

#include "base/cpu.h"
#include "base/json.h"
#include "kernels/kernels.h"
#include "models/convert.h"
#include "models/convert/parts.h"
#include "models/keys.h"
#include "models/suppressed.h"

namespace miao::models {

namespace {

constexpr const char* kMend = "; write safetensors instead";

Converted unchanged(const io::Checkpoint& gguf) {
  Converted out;
  out.metadata = io::GgufMetadata::of(gguf);
  for (const TensorView& t : gguf.tensors()) {
    out.tensors.emplace_back(t.name, t.shape, std::vector<ConvertedTensor::Part>{{t, {}, t.rows()}});
  }
  return out;
}

Result<std::vector<TensorUse>> tensors_of(const Source& source, const ModelSpec& spec) {
  MIAO_TRY(const kernels::Kernels* table, kernels::select(cpu_features(), ""));
  MIAO_TRY(const std::unique_ptr<ThreadPool> pool, ThreadPool::create(1));
  MIAO_TRY(Weights weights, describe_weights(source, spec, {*table, *pool}, graph::Precision::file));
  return std::move(weights.tensors);
}

// The token that an encoder-decoder begins with: of config.json, or else of generation_config.json.
Result<std::optional<int64_t>> start_token(const io::Checkpoint& source) {
  constexpr const char* kKey = "decoder_start_token_id";
  const KeyValues* config = &source.meta();
  std::optional<KeyValues> generation;
  if (!config->has(kKey)) {
    MIAO_TRY(const std::optional<std::string> text, source.text_file("generation_config.json"));
    if (!text) return std::optional<int64_t>();
    MIAO_TRY(generation, KeyValues::from_json(*text, (source.path() / "generation_config.json").string()));
    config = &*generation;
  }
  if (!config->has(kKey)) return std::optional<int64_t>();
  MIAO_TRY(const int64_t id, config->integer(kKey));
  return std::optional(id);
}

// llama.cpp's numbers of poolings: 1 the mean, 2 the first row, 4 the classes of the head.
Result<void> write_sentence(const io::Checkpoint& source, const ModelSpec& spec, KeyWriter& keys,
                            std::vector<std::string>& notes) {
  constexpr Key kPooling{"pooling_type", nullptr};
  if (spec.shape != ModelSpec::Shape::encoder) return {};
  if (spec.head.task == HeadSpec::Task::sequence) {
    keys.count(kPooling, 4);
    return {};
  }
  MIAO_TRY(const std::optional<SentenceSpec> sentence, read_sentence_spec(source));
  if (!sentence) return {};
  keys.count(kPooling, sentence->pool == SentenceSpec::Pool::mean ? 1 : 2);
  if (!sentence->normalise) notes.push_back("vectors of GGUF files have length 1, and those of this model have not");
  if (!sentence->prompts.empty()) notes.push_back("GGUF files hold no prompts: give them with the texts");
  return {};
}

// What a transcript never has, and what it does not begin with.
Result<void> write_suppressed(const io::Checkpoint& source, KeyWriter& keys) {
  MIAO_TRY(const SuppressedTokens tokens, read_suppressed(source));
  keys.ids(kSuppressed, tokens.anywhere);
  keys.ids(kSuppressedFirst, tokens.first);
  return {};
}

Error cannot_say(const io::Checkpoint& source, std::string_view architecture, const std::string& what) {
  return {Code::unsupported,
          "GGUF files of the architecture '" + std::string(architecture) + "' cannot say what this model is (" + what +
              ")" + kMend,
          source.meta().source()};
}

// T5: readers scale what a tied output matrix reads, and no other. A tied one that is not scaled is written out.
void write_out_tied(const ModelSpec& spec, const GgufForm& form, std::vector<ConvertedTensor>& tensors) {
  if (!form.scaled_tie || !spec.tied || spec.logit_scale != 1) return;
  const auto table =
      std::find_if(tensors.begin(), tensors.end(), [](const auto& t) { return t.name() == "token_embd.weight"; });
  if (table != tensors.end()) tensors.push_back(table->renamed("output.weight"));
}

// Reads the keys back and holds what they say against the source.
Result<void> check(const io::Checkpoint& source, const ModelSpec& spec, const GgufForm& form, Converted& out) {
  std::vector<TensorView> views;
  std::vector<std::vector<float>> values;  // of what reading the keys looks into
  for (const ConvertedTensor& t : out.tensors) {
    TensorView view{.name = t.name(), .dtype = t.dtype(), .shape = t.shape(), .data = nullptr, .bytes = 0};
    if (t.name().starts_with("rope_")) {
      values.emplace_back(static_cast<size_t>(t.rows() * t.cols()));
      t.decode(0, t.rows(), values.back().data());
      view.data = reinterpret_cast<const std::byte*>(values.back().data());
      view.bytes = values.back().size() * sizeof(float);
    }
    views.push_back(std::move(view));
  }
  MIAO_TRY(const io::Checkpoint planned, io::Checkpoint::planned(source.path(), out.metadata, std::move(views)));
  MIAO_TRY(Source target, Source::open(planned));
  MIAO_TRY(const Family* family, find_family(target));
  target.use(family->hf);
  const Result<ModelSpec> read = family->spec(target);
  if (!read.ok()) return cannot_say(source, form.architecture, read.error().message);
  if (const auto what = difference(spec, *read, form, out.notes)) {
    return cannot_say(source, form.architecture, *what + ", there and here");
  }
  return {};
}

Result<Converted> convert(const io::Checkpoint& checkpoint, const Source& source, const Family& family,
                          const ModelSpec& spec) {
  const GgufForm& form = family.gguf;
  MIAO_TRY(const std::vector<TensorUse> used, tensors_of(source, spec));
  Converted out;
  out.metadata.set("general.architecture", form.architecture);
  out.metadata.set("general.type", "model");
  std::string name = spec.name;
  if (name.empty()) name = std::filesystem::weakly_canonical(checkpoint.path()).filename().string();
  out.metadata.set("general.name", name);
  KeyWriter keys(form.architecture, out.metadata);
  write_keys(spec, form, keys, out.tensors);
  MIAO_CHECK_OK(write_sentence(checkpoint, spec, keys, out.notes));
  if (spec.encoder) {
    MIAO_TRY(const std::optional<int64_t> start, start_token(checkpoint));
    if (start && *start >= 0 && *start < spec.vocab) keys.count({"decoder_start_token_id", nullptr}, *start);
  }
  MIAO_TRY(std::vector<ConvertedTensor> tensors, convert_tensors(source, spec, family, used));
  std::move(tensors.begin(), tensors.end(), std::back_inserter(out.tensors));
  write_out_tied(spec, form, out.tensors);
  MIAO_CHECK_OK(check(checkpoint, spec, form, out));
  if (form.speech) MIAO_CHECK_OK(write_suppressed(checkpoint, keys));
  MIAO_CHECK_OK(write_tokenizer(checkpoint, spec, !form.speech, out));
  return out;
}

}  // namespace

Result<Converted> to_gguf(const io::Checkpoint& checkpoint) {
  if (checkpoint.kind() == io::Checkpoint::Kind::gguf) return unchanged(checkpoint);
  MIAO_TRY(Source source, Source::open(checkpoint));
  MIAO_TRY(const Family* family, find_family(source));
  const std::string where = checkpoint.meta().source();
  if (family->gguf.architecture.empty()) {
    return Error{Code::unsupported, "the architecture '" + source.architecture() + "' has no GGUF form" + kMend, where};
  }
  source.use(source.ct2() ? family->ct2 : family->hf);
  MIAO_TRY(const ModelSpec spec, family->spec(source));
  using Task = HeadSpec::Task;
  if (spec.head.task == Task::tokens || spec.head.task == Task::span) {
    return Error{Code::unsupported, "GGUF has no head like that of '" + source.architecture() + "'" + kMend, where};
  }
  return convert(checkpoint, source, *family, spec);
}

}  // namespace miao::models
