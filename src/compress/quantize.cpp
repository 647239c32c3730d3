#include "compress/quantize.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/cpu.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "compress/canary.h"
#include "compress/fold.h"
#include "compress/layers.h"
#include "compress/round_tensor.h"
#include "io/gguf_writer.h"
#include "models/convert.h"
#include "models/family.h"
#include "models/model.h"
#include "runtime/blockwise.h"

namespace miao::compress {

namespace {

Error already_quantised(const Subject& t) {
  return {
      Code::invalid,
      std::string("is ") + format(t.dtype).name +
          " already, and a second rounding adds its loss to that of the first; take a file of full precision, or say "
          "--requantize",
      t.name};
}

size_t longest_of(std::span<const std::vector<int32_t>> windows) {
  size_t out = 64;
  for (const auto& window : windows) out = std::max(out, window.size());
  return out;
}

Result<std::unique_ptr<runtime::Blockwise>> open_to_calibrate(const io::Checkpoint& model, const QuantizeOptions& o) {
  return runtime::open_blockwise(
      model.path(), {.threads = o.threads, .ctx = static_cast<int64_t>(longest_of(o.calibration)), .cancel = o.cancel});
}

class Writer {
 public:
  Writer(const io::Checkpoint& model, const QuantizeOptions& options, Quantized plan, ThreadPool& pool)
      : model_(model), o_(options), plan_(std::move(plan)), pool_(pool) {}

  Result<Quantized> run(const std::filesystem::path& path) {
    MIAO_TRY(io::GgufWriter file, io::GgufWriter::create(path, metadata(), infos(), o_.cancel));
    file_ = &file;
    MIAO_CHECK_OK(o_.calibration.empty() ? write_until(INT64_MAX) : by_layers());
    MIAO_CHECK_OK(file.finish());
    if (o_.canary) {
      progress("canary", 0, 1);
      MIAO_TRY(plan_.canary, canary_digest(file.readable(), ids_, o_.threads, o_.cancel));
      MIAO_CHECK_OK(file.patch(kCanaryLogits, plan_.canary));
    }
    MIAO_CHECK_OK(file.commit());
    return std::move(plan_);
  }

 private:
  void progress(std::string_view what, uint64_t done, uint64_t total) const {
    if (o_.progress) o_.progress(what, done, total);
  }

  io::GgufMetadata metadata() {
    io::GgufMetadata meta = io::GgufMetadata::of(model_);
    meta.set("general.file_type", o_.recipe.file_type());
    meta.set("general.quantization_version", uint32_t{2});
    meta.set(kWriterKey, o_.writer);
    meta.set("miao.quantize.mix", o_.recipe.name());
    const bool any = o_.importance || !o_.calibration.empty();
    meta.set("miao.quantize.rounding", !o_.calibration.empty()                  ? "gptq"
                                       : any                                    ? "importance"
                                       : o_.rounding == Rounding::least_squares ? "least squares"
                                                                                : "nearest");
    if (any) meta.set("miao.quantize.calibration", o_.calibrated_on);
    if (o_.kv) meta.set(models::kKvKey, kernels::kv_format(*o_.kv).name);
    if (!o_.canary) return meta;
    const TensorView* const table = model_.find("token_embd.weight");
    ids_ = canary_ids(table ? table->rows() : 1);
    meta.set(kCanaryIds, std::vector<uint32_t>(ids_.begin(), ids_.end()));
    meta.reserve(kCanaryLogits, std::string(64, '0'));
    return meta;
  }

  std::vector<io::TensorInfo> infos() const {
    std::vector<io::TensorInfo> out;
    for (const QuantizedTensor& t : plan_.tensors) out.push_back({t.name, t.to, t.shape});
    return out;
  }

  // All tensors that stand before those of `block`; matrices that layers.h gave come from there.
  Result<void> write_until(int64_t block) {
    for (; next_ < plan_.tensors.size() && block_of(plan_.tensors[next_].name) < block; ++next_) {
      const QuantizedTensor& t = plan_.tensors[next_];
      progress(t.name, written_, plan_.bytes_before);
      const auto made = made_.find(t.name);
      auto done = made != made_.end() ? file_->write(t.name, made->second) : round(t);
      MIAO_CHECK_OK(done);
      if (made != made_.end()) made_.erase(made);
      written_ += t.bytes_before;
    }
    progress("tensors", written_, plan_.bytes_before);
    return {};
  }

  Result<void> by_layers() {
    MIAO_TRY(const auto model, open_to_calibrate(model_, o_));
    std::map<std::string_view, DType> types;
    for (const QuantizedTensor& t : plan_.tensors) types.emplace(t.name, t.to);
    const auto take = [&](std::string_view tensor, DType, std::span<const std::byte> bytes) -> Result<void> {
      made_.emplace(tensor, std::vector<std::byte>(bytes.begin(), bytes.end()));
      return {};
    };
    LayersOptions layers{.done = {}, .cancel = o_.cancel};
    layers.done = [&](int64_t layer) { return write_until(layer); };
    MIAO_CHECK_OK(quantize_layers(
        *model, o_.calibration, [&](std::string_view name) { return types.at(name); }, take, layers));
    return write_until(INT64_MAX);
  }

  // One tensor by itself.
  Result<void> round(const QuantizedTensor& t) {
    const TensorView& source = *model_.find(t.name);
    const std::span<const std::byte> data{source.data, static_cast<size_t>(source.bytes)};
    if (t.to == source.dtype) {
      MIAO_CHECK_OK(check_numbers(source, pool_, o_.cancel));
      MIAO_CHECK_OK(file_->write(t.name, data));
    } else {
      const auto sink = [&](int64_t, std::span<const float>, std::span<const std::byte> bytes) {
        return file_->write(t.name, bytes);
      };
      const RoundOptions options{.importance = o_.importance, .otherwise = o_.rounding, .cancel = o_.cancel};
      MIAO_CHECK_OK(round_tensor(source, t.to, options, pool_, sink));
    }
    model_.release(data);
    return {};
  }

  const io::Checkpoint& model_;
  const QuantizeOptions& o_;
  Quantized plan_;
  ThreadPool& pool_;
  std::vector<int32_t> ids_;
  io::GgufWriter* file_ = nullptr;
  size_t next_ = 0;       // the tensor that is written next
  uint64_t written_ = 0;  // of plan_.bytes_before
  std::map<std::string, std::vector<std::byte>, std::less<>> made_;
};

// The model with its columns scaled, or nothing where that cannot be or helps nothing.
Result<std::optional<Scaled>> scaled_copy(const io::Checkpoint& model, const std::filesystem::path& out,
                                          const QuantizeOptions& o, const Quantized& plan) {
  const bool rounds = std::ranges::any_of(plan.tensors, [](const auto& t) { return format(t.to).block > 1; });
  if (!o.scale || !rounds || (!o.importance && o.calibration.empty())) return std::optional<Scaled>();
  Importance own;
  if (!o.importance) {
    MIAO_TRY(const auto run, open_to_calibrate(model, o));
    const auto done = [&](int64_t n) {
      if (o.progress) o.progress("reading calibration text", static_cast<uint64_t>(n), o.calibration.size());
    };
    MIAO_TRY(own, measure_importance(*run, o.calibration, done, o.cancel));
  }
  std::map<std::string_view, DType> types;
  for (const QuantizedTensor& t : plan.tensors) types.emplace(t.name, t.to);
  auto scaled =
      scale(model, out, o.importance ? *o.importance : own, [&](std::string_view name) { return types.at(name); },
            {.threads = o.threads, .progress = o.progress, .cancel = o.cancel});
  if (scaled.ok()) return scaled;
  Error& error = scaled.error();
  if (error.code == Code::out_of_memory || error.code == Code::io)
    error.message += "; scaling columns takes room for the model in F32, and --no-scale does without";
  if (error.code != Code::unsupported) return scaled;
  log_warn("columns are not scaled: " + error.str());
  return std::optional<Scaled>();
}

}  // namespace

int64_t block_of(std::string_view name) {
  int64_t out = kOutside;
  if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), out);
  return out;
}

Result<Anatomy> anatomy_of(const io::Checkpoint& model) {
  MIAO_TRY(const models::ModelSpec spec, models::spec_of(model));
  const models::AttentionSpec& attn = spec.block.attn;
  return Anatomy{.layers = spec.layers,
                 .heads_per_kv = attn.heads / std::max<int64_t>(1, attn.kv_heads),
                 .experts = spec.block.ffn.experts,
                 .tied = spec.tied};
}

Result<std::vector<Subject>> subjects_of(const io::Checkpoint& model) {
  std::vector<Subject> out;
  if (model.kind() == io::Checkpoint::Kind::gguf) {
    for (const TensorView& t : model.tensors())
      out.push_back({t.name, t.shape, t.dtype, models::stays_float(t.name, t.shape.size())});
  } else {
    MIAO_TRY(const models::Converted converted, models::to_gguf(model));
    for (const models::ConvertedTensor& t : converted.tensors) {
      out.push_back({t.name(), t.shape(), t.gguf_type(), t.stays_float()});
    }
  }
  std::ranges::stable_sort(out, {}, [](const Subject& s) { return block_of(s.name); });
  return out;
}

Result<Quantized> plan_types(const io::Checkpoint& model, const QuantizeOptions& options) {
  MIAO_TRY(const Anatomy anatomy, anatomy_of(model));
  MIAO_TRY(const std::vector<Subject> subjects, subjects_of(model));
  const std::vector<Choice> choices = options.recipe.choose(subjects, anatomy, options.choice);
  Quantized out;
  for (size_t i = 0; i < subjects.size(); ++i) {
    const Subject& t = subjects[i];
    const DType to = choices[i].dtype;
    if (to != t.dtype && format(t.dtype).block > 1 && !options.requantize) return already_quantised(t);
    if (to != t.dtype && (!can_encode(to) || !format(t.dtype).decode)) {
      return Error{Code::unsupported, std::string(format(t.dtype).name) + " cannot become " + format(to).name, t.name};
    }
    const int64_t cols = t.shape.empty() ? 1 : t.shape.back();
    int64_t rows = 1;
    for (size_t d = 0; d + 1 < t.shape.size(); ++d) rows *= t.shape[d];
    const QuantizedTensor q{t.name,
                            t.shape,
                            t.dtype,
                            to,
                            choices[i].wished,
                            static_cast<uint64_t>(rows * row_bytes(t.dtype, cols)),
                            static_cast<uint64_t>(rows * row_bytes(to, cols))};
    out.bytes_before += q.bytes_before;
    out.bytes += q.bytes;
    out.weights += rows * cols;
    out.tensors.push_back(q);
  }
  return out;
}

Result<io::Checkpoint> planned_model(const io::Checkpoint& model, const Quantized& types) {
  io::GgufMetadata metadata;
  if (model.kind() == io::Checkpoint::Kind::gguf) {
    metadata = io::GgufMetadata::of(model);
  } else {
    MIAO_TRY(models::Converted converted, models::to_gguf(model));
    metadata = std::move(converted.metadata);
  }
  std::vector<TensorView> views;
  for (const QuantizedTensor& t : types.tensors) {
    TensorView view{.name = t.name, .dtype = t.to, .shape = t.shape};
    view.bytes = t.bytes;
    views.push_back(std::move(view));
  }
  MIAO_TRY(const io::Checkpoint planned, io::Checkpoint::planned(model.path(), metadata, std::move(views)));
  return planned.hollow();
}

Result<Quantized> quantize(const io::Checkpoint& model, const std::filesystem::path& out,
                           const QuantizeOptions& options) {
  MIAO_TRY(Quantized plan, plan_types(model, options));
  if (options.kv) {
    MIAO_TRY(const auto shape, models::shape_of(model));
    if (shape == models::ModelSpec::Shape::encoder) {
      return Error{Code::unsupported, "is an encoder, which keeps no keys and values (kv)", model.path().string()};
    }
  }
  MIAO_TRY(const auto pool, ThreadPool::create(options.threads ? options.threads : cpu_limits().threads()));
  auto done = [&]() -> Result<Quantized> {
    MIAO_TRY(const std::optional<Scaled> scaled, scaled_copy(model, out, options, plan));
    QuantizeOptions own = options;
    // The same bytes whether importance was known or found, to matrices too that GPTQ does not reach.
    own.importance = !options.calibration.empty() ? nullptr : scaled ? &scaled->importance : options.importance;
    if (!scaled) return Writer(model, own, std::move(plan), *pool).run(out);
    plan.scaled = true;
    MIAO_TRY(const io::Checkpoint source, io::Checkpoint::open(scaled->copy.path()));
    return Writer(source, own, std::move(plan), *pool).run(out);
  }();
  if (!done.ok() && done.error().where.find('/') == std::string::npos) {
    return std::move(done.error()).at(model.path().string());
  }
  return done;
}

}  // namespace miao::compress
