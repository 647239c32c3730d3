#include "models/model.h"

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "models/builder.h"
#include "models/family.h"
#include "models/rope.h"
#include "models/source.h"

namespace miao::models {

namespace {

// The head that the caller wants instead of the one that the architecture names.
Result<void> choose_head(const io::Checkpoint& checkpoint, Rows rows, ModelSpec& s) {
  using Task = HeadSpec::Task;
  MIAO_TRY(s.sentence, read_sentence_spec(checkpoint));
  if (rows == Rows::tokens) s.head = {};
  if (rows == Rows::tokens || (rows == Rows::head && s.head.task != Task::hidden)) return {};
  const SentenceSpec sentence = s.sentence.value_or(SentenceSpec{});
  s.head = {.task = Task::embedding, .pool = sentence.pool, .normalise = sentence.normalise};
  return {};
}

Result<int64_t> choose_ctx(const LoadOptions& options, const ModelSpec& s) {
  const bool encoder = s.shape == ModelSpec::Shape::encoder;
  const int64_t ctx = options.ctx > 0 ? options.ctx : encoder ? s.ctx : std::min(s.ctx, kDefaultCtx);
  if (s.positions > 0 && ctx > s.positions - s.position_offset) {
    return Error{Code::invalid,
                 "a context of " + std::to_string(ctx) + " is more than the " +
                     std::to_string(s.positions - s.position_offset) + " positions that the model has learned",
                 {}};
  }
  if (ctx > s.ctx) {
    log_warn("the model was made for " + std::to_string(s.ctx) + " positions; beyond them its answers get worse");
  }
  return ctx;
}

// Tables that are computed when the programs are built, for as many positions as the context has.
Result<void> check_tables(const ModelSpec& s, int64_t ctx) {
  const bool sines = s.positions > 0 && s.sinusoids != ModelSpec::Sinusoids::none;
  const int64_t distances = s.distance_buckets > 0 ? s.block.attn.heads * (2 * (ctx + kernels::kPage) + 1) : 0;
  const auto floats = static_cast<uint64_t>(distances + (sines ? (ctx + s.position_offset) * s.dim : 0));
  return require_memory(floats * sizeof(float), "tables of positions", "lower the context length (ctx)");
}

Result<kernels::KvType> choose_kv(const io::Checkpoint& checkpoint, const LoadOptions& options, bool all_f32) {
  if (options.kv) return *options.kv;
  const bool exact = options.precision == graph::Precision::f32 || options.precision == graph::Precision::bf16x3 ||
                     options.precision == graph::Precision::bf16x2 ||
                     (all_f32 && options.precision != graph::Precision::int8);
  if (exact) return kernels::KvType::f32;
  MIAO_TRY(const std::string_view wanted, checkpoint.meta().string(kKvKey, "F16"));
  if (const auto kv = kernels::kv_from_name(wanted)) return *kv;
  return Error{Code::unsupported,
               std::string(kKvKey) + " asks for keys and values in '" + std::string(wanted) +
                   "', which this program does not know; name another type (kv)",
               {}};
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
  source.use(source.ct2() ? family->ct2 : family->hf);
  MIAO_TRY(ModelSpec spec, family->spec(source));
  MIAO_CHECK(spec.shape == family->shape);
  if (options.encoder_alone && spec.encoder) {
    ModelSpec alone = *spec.encoder;
    alone.name = std::move(spec.name);
    spec = std::move(alone);
  }
  spec.family = family->name;
  if (options.blocks > 0 && !spec.encoder) spec.keep_blocks(options.blocks);
  const bool encoder = spec.shape == ModelSpec::Shape::encoder;
  if (encoder) MIAO_CHECK_OK(choose_head(checkpoint, options.rows, spec));
  if (options.ctx < 0 || options.ctx > kMaxCtx) {
    return Error{Code::invalid, "the context length " + std::to_string(options.ctx) + " is not within 1 to 2^30", {}};
  }
  if (options.chunk < 1 || options.chunk > 4096) {
    return Error{
        Code::invalid, "the chunk of " + std::to_string(options.chunk) + " tokens is not within 1 to 4096", {}};
  }

  std::unique_ptr<Model> model(new Model(std::move(spec), options, checkpoint, context));
  const ModelSpec& s = model->spec_;
  MIAO_TRY(model->ctx_, choose_ctx(options, s));
  MIAO_CHECK_OK(check_tables(s, model->ctx_));
  if (s.encoder) {
    LoadOptions own = options;  // a sequence's limit says nothing about what an encoder with fewer positions reads
    if (s.encoder->positions > 0) own.ctx = std::min(own.ctx, s.encoder->positions - s.encoder->position_offset);
    MIAO_TRY(model->encoder_ctx_, choose_ctx(own, *s.encoder));
    MIAO_CHECK_OK(check_tables(*s.encoder, model->encoder_ctx_));
  }
  if (const int64_t limit = ctx_of_scaling(s.rope, s.ctx); limit > 0 && model->ctx_ > limit) {
    log_warn("a context of more than " + std::to_string(limit) + " positions changes the rotation of this model (" +
             scaling_name(s.rope.scaling) + "), for shorter texts too");
  }
  MIAO_TRY(model->weights_, describe_weights(source, s, context, options.precision));
  MIAO_TRY(model->kv_, choose_kv(checkpoint, options, model->weights_.all_f32));
  MIAO_CHECK_OK(model->build_programs());
  if (!options.weights) return model;
  MIAO_CHECK_OK(model->check_memory());
  MIAO_CHECK_OK(pack_weights(source, context, model->weights_, options.packs, options.cancel));
  return model;
}

Result<void> Model::use_kv(kernels::KvType kv) {
  kv_ = kv;
  return build_programs();
}

// Again, where they have been built before.
Result<void> Model::build_programs() {
  program_.clear();
  build_program(spec_, weights_, kv_, ctx_, program_);
  // A text goes through a decoder in pieces, and whole through an encoder, with others if there is room.
  const bool encoder = spec_.shape == ModelSpec::Shape::encoder;
  MIAO_CHECK_OK(program_.plan(encoder ? std::max(options_.chunk, ctx_) : std::min(options_.chunk, ctx_)));
  return build_encoder_programs();
}

Result<void> Model::build_encoder_programs() {
  if (!spec_.encoder) return {};
  const auto empty = [&](std::optional<graph::Program>& program) -> graph::Program& {
    if (!program) return program.emplace(context_);
    program->clear();
    return *program;
  };
  build_encoder(spec_, weights_, kv_, encoder_ctx_, empty(encoder_));
  MIAO_CHECK_OK(encoder_->plan(spec_.encoder->features > 0 ? encoder_ctx_ : std::max(options_.chunk, encoder_ctx_)));
  if (spec_.encoder->features == 0) return {};
  build_convolution(*spec_.encoder, *weights_.encoder, empty(convolution_));
  return convolution_->plan(2 * encoder_ctx_);
}

void Model::keep_packed() const {
  if (weights_.key.name.empty() || weights_from_cache() || weights_.memory.size() == 0) return;
  const double start = now_seconds();
  const auto kept =
      save_pack(options_.packs, weights_.key, {weights_.memory.data(), weights_.memory.size()}, options_.cancel);
  const auto ms = static_cast<int64_t>(1e3 * (now_seconds() - start));
  log_info("packed weights: " +
           (kept.ok() ? "kept for the next start, " + std::to_string(ms) + " ms" : "not kept: " + kept.error().str()));
}

// Before the weights are packed: neither they nor the buffers of the plan have been touched.
Result<void> Model::check_memory() const {
  const int64_t weights = packed_bytes(weights_), buffers = buffer_bytes();
  return require_memory(
      static_cast<uint64_t>(weights + buffers),
      "the weights (" + std::to_string(weights >> 20) + " MiB) and buffers (" + std::to_string(buffers >> 20) + " MiB)",
      "free some, or use a smaller or more quantised model or a smaller chunk of tokens (chunk)");
}

std::vector<WeightGroup> Model::groups() const {
  std::vector<WeightGroup> out;
  const FfnSpec& ffn = spec_.block.ffn;
  const auto add = [&](const std::string_view name, const graph::Linear& linear) {
    const bool mlp = name == "gate_up" || name == "down", block = mlp || name == "qkv" || name == "o";
    double uses = block && spec_.shared_blocks ? static_cast<double>(spec_.layers) : 1;  // of each weight, by a token
    if (mlp && ffn.experts > 0) uses *= static_cast<double>(ffn.experts_used) / static_cast<double>(ffn.experts);
    for (size_t i = 0; i < linear.parts(); ++i) {
      auto at = std::find_if(out.begin(), out.end(),
                             [&](const WeightGroup& g) { return g.name == name && g.dtype == linear.file_dtype(i); });
      if (at == out.end())
        at = out.insert(out.end(), {std::string(name), linear.file_dtype(i), &linear.kernel(i), 0, 0});
      at->bytes += linear.part_bytes(i);
      at->products += uses * static_cast<double>(linear.rows(i) * linear.cols());
    }
  };
  for_linears(weights_, add);
  return out;
}

std::vector<std::pair<std::string_view, const graph::Linear*>> Model::products() const {
  std::vector<std::pair<std::string_view, const graph::Linear*>> out;
  for_linears(weights_, [&](const char* kind, const graph::Linear& linear) { out.emplace_back(kind, &linear); });
  return out;
}

Result<ModelSpec::Shape> shape_of(const io::Checkpoint& checkpoint) {
  if (checkpoint.tensors().empty()) return ModelSpec::Shape::decoder;  // load() says what is missing
  MIAO_TRY(Source source, Source::open(checkpoint));
  MIAO_TRY(const Family* family, find_family(source));
  return family->shape;
}

Result<ModelSpec> spec_of(const io::Checkpoint& checkpoint) {
  MIAO_TRY(Source source, Source::open(checkpoint));
  MIAO_TRY(const Family* family, find_family(source));
  source.use(source.ct2() ? family->ct2 : family->hf);
  return family->spec(source);
}

Result<bool> reads_audio(const io::Checkpoint& checkpoint) {
  if (checkpoint.tensors().empty()) return false;
  MIAO_TRY(Source source, Source::open(checkpoint));
  MIAO_TRY(const Family* family, find_family(source));
  if (family->shape != ModelSpec::Shape::encoder_decoder) return false;
  source.use(source.ct2() ? family->ct2 : family->hf);
  MIAO_TRY(const ModelSpec spec, family->spec(source));
  return spec.encoder->features > 0;
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
