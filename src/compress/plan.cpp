// See plan.h.
#include "compress/plan.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/cpu.h"
#include "compress/quantize.h"
#include "kernels/kv.h"
#include "models/model.h"
#include "models/source.h"
#include "runtime/encoder.h"

namespace miao::compress {

namespace {

using measure::ForecastCase;
using models::ModelSpec;
using runtime::Encoder;
using runtime::Engine;
using runtime::MemoryReport;

// Pages of the file that stand in memory while a matrix is packed, before they are given back.
constexpr int64_t kWindow = int64_t{16} << 20;
// What a row of a mapped table brings in where the page cache has large folios (ext4 and XFS, Linux 6), and the rows
// that a decoder reads before it gives the pages back: a chunk, and what was left of the last.
constexpr int64_t kRowPages = int64_t{512} << 10, kRowsLeft = 64;

int64_t sum(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

// An Engine or an Encoder of a model whose weights are not read.
class Described {
 public:
  static Result<Described> open(const io::Checkpoint& model, const PlanOptions& o) {
    Described out;
    MIAO_TRY(out.shape_, models::shape_of(model));
    MIAO_TRY(io::Checkpoint hollow, model.hollow());
    if (out.shape_ == ModelSpec::Shape::encoder) {
      runtime::EncoderOptions options = encoder_options(o);
      options.weights = false;
      MIAO_TRY(out.encoder_, Encoder::open(std::move(hollow), options));
    } else {
      runtime::EngineOptions options = o.engine;
      options.weights = false;
      out.chunk_ = options.chunk;
      MIAO_TRY(out.engine_, Engine::open(std::move(hollow), options));
    }
    return out;
  }

  static runtime::EncoderOptions encoder_options(const PlanOptions& o) {
    runtime::EncoderOptions out;
    out.threads = o.engine.threads;
    out.compute = o.engine.compute;
    out.ctx = o.engine.ctx;
    out.isa = o.engine.isa;
    out.cancel = o.engine.cancel;
    return out;
  }

  ModelSpec::Shape shape() const { return shape_; }
  const Engine* engine() const { return engine_.get(); }
  const ModelSpec& spec() const { return encoder_ ? encoder_->spec() : engine_->spec(); }
  const char* isa() const { return encoder_ ? encoder_->isa() : engine_->isa(); }
  int64_t ctx() const { return encoder_ ? encoder_->ctx() : engine_->ctx(); }
  int threads() const { return encoder_ ? encoder_->pool().threads() : engine_->pool().threads(); }

  PlanMemory memory(int64_t users, int64_t positions, int64_t program) const {
    const int64_t rows = std::min<int64_t>(chunk_, ctx()) + kRowsLeft;
    const MemoryReport m = encoder_ ? encoder_->memory(users, positions) : engine_->memory(users, positions);
    return {.weights = m.weights,
            .embedding = encoder_ ? m.embedding : std::min(m.embedding, rows * kRowPages),
            .buffers = m.buffers,
            .kv = m.kv_reserved,
            .program = program,
            .loading = kWindow};
  }

 private:
  ModelSpec::Shape shape_ = ModelSpec::Shape::decoder;
  int64_t chunk_ = 0;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Encoder> encoder_;
};

std::vector<TypeBytes> types_of(const io::Checkpoint& model) {
  std::map<DType, TypeBytes> by_type;
  std::set<const std::byte*> seen;
  for (const TensorView& t : model.tensors()) {
    const bool alias = model.kind() == io::Checkpoint::Kind::ct2 && !seen.insert(t.data).second;
    if (alias) continue;  // a second name
    TypeBytes& of = by_type[t.dtype];
    of.type = format(t.dtype).name;
    ++of.tensors;
    of.parameters += t.elements();
    of.bytes += t.bytes;
  }
  std::vector<TypeBytes> out;
  for (auto& [dtype, of] : by_type) out.push_back(std::move(of));
  std::ranges::stable_sort(out, std::greater(), &TypeBytes::bytes);
  return out;
}

class Planner {
 public:
  Planner(const io::Checkpoint& model, const PlanOptions& options) : file_(model), o_(options) {}

  Result<Plan> run() {
    const MemoryLimits limits = memory_limits();
    plan_.free = o_.free.value_or(limits.free);
    plan_.total = o_.free ? 0 : limits.total;
    plan_.quantised =
        std::ranges::any_of(file_.tensors(), [](const TensorView& t) { return format(t.dtype).block > 1; });
    std::optional<io::Checkpoint> made;
    if (o_.type) {
      MIAO_TRY(made, planned(*o_.type));
    }
    const io::Checkpoint& model = made ? *made : file_;
    MIAO_TRY(const Described described, Described::open(model, o_));
    MIAO_CHECK_OK(choose_use(described));
    // What this process has now is what the one that runs the model has beside it, the tokenizer with it.
    program_ = static_cast<int64_t>(rss_bytes());
    describe(model, described);
    plan_.model.type = o_.type ? std::string(o_.type->name()) : "";
    MIAO_CHECK_OK(fill(plan_.model, model, described, true));
    for (const std::string& name : o_.others) {
      MIAO_TRY(PlanRow row, other(name));
      plan_.others.push_back(std::move(row));
    }
    return std::move(plan_);
  }

 private:
  QuantizeOptions quantize_options(const Recipe& recipe) const {
    return {.recipe = recipe,
            .choice = {},
            .calibration = {},
            .requantize = true,
            .writer = {},
            .calibrated_on = {},
            .progress = {}};
  }
  Result<io::Checkpoint> planned(const Recipe& recipe) const {
    const QuantizeOptions options = quantize_options(recipe);
    MIAO_TRY(const Quantized types, plan_types(file_, options));
    return planned_model(file_, types);
  }

  // What the options leave open is what the context has room for.
  Result<void> choose_use(const Described& described) {
    const bool decoder = described.shape() == ModelSpec::Shape::decoder;
    const int64_t ctx = described.ctx();
    ForecastCase& use = plan_.use;
    use.users = o_.users;
    const int64_t room = std::max<int64_t>(1, o_.prompt ? ctx - *o_.prompt : ctx / 4);
    use.gen = o_.gen.value_or(std::min(use.gen, room));
    use.prompt =
        o_.prompt.value_or(decoder ? std::clamp<int64_t>(ctx - use.gen, 1, use.prompt) : std::min<int64_t>(128, ctx));
    const int64_t needed = use.prompt + (decoder ? use.gen : 0);
    if (described.shape() == ModelSpec::Shape::encoder_decoder || needed <= ctx) return {};
    return Error{Code::invalid,
                 std::to_string(needed) +
                     " positions are needed for a prompt and what is written, and the context has " +
                     std::to_string(ctx) + "; shorten them, or raise the context length (ctx)",
                 file_.path().string()};
  }

  void describe(const io::Checkpoint& model, const Described& described) {
    const ModelSpec& spec = described.spec();
    plan_.shape = described.shape();
    if (const auto source = models::Source::open(model); source.ok()) {
      plan_.architecture = source->architecture();
      plan_.name = source->model_name();
    }
    plan_.types = types_of(model);
    for (const TypeBytes& t : plan_.types) plan_.parameters += t.parameters;
    plan_.layers = spec.layers;
    plan_.width = spec.dim;
    plan_.vocab = spec.vocab;
    plan_.model_ctx = spec.ctx;
    plan_.ctx = described.ctx();
    plan_.isa = described.isa();
    plan_.threads = described.threads();
    const Engine* const engine = described.engine();
    if (!engine) return;
    plan_.input_ctx = engine->input_ctx();
    plan_.kv = kernels::kv_format(engine->kv_type()).name;
    plan_.kv_per_token = engine->memory().kv_per_token;
    count_what_fits(described);
  }

  void count_what_fits(const Described& described) {
    const auto peak = [&](int64_t users, int64_t positions) {
      return described.memory(users, positions, program_).peak();
    };
    const auto free = static_cast<int64_t>(std::min<uint64_t>(plan_.free, INT64_MAX));
    // The most that a growing need leaves below what is free.
    const auto most = [&](int64_t high, const auto& need) {
      int64_t low = 0;
      while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        need(middle) <= free ? low = middle : high = middle - 1;
      }
      return low;
    };
    constexpr int64_t kMostUsers = int64_t{1} << 32;
    const int64_t page = kernels::kPage;
    plan_.most_users = most(kMostUsers, [&](int64_t users) { return peak(users, plan_.ctx); });
    if (peak(0, 0) > free) plan_.most_users = 0;
    const int64_t pages =
        most((plan_.model_ctx + page - 1) / page, [&](int64_t n) { return peak(plan_.use.users, n * page); });
    plan_.most_ctx = std::min(plan_.model_ctx, pages * page);
  }

  Result<void> fill(PlanRow& row, const io::Checkpoint& model, const Described& described, bool prefill) {
    row.bytes = model.bytes();
    row.bits = plan_.parameters > 0 ? 8.0 * static_cast<double>(row.bytes) / static_cast<double>(plan_.parameters) : 0;
    row.memory = described.memory(plan_.use.users, described.ctx(), program_);
    row.fits = static_cast<uint64_t>(row.memory.peak()) <= plan_.free;
    if (!o_.speed) return {};
    if (o_.progress) o_.progress(row.type.empty() ? "the model" : row.type);
    measure::ForecastOptions timing = o_.timing;
    timing.prefill = prefill;
    const auto speed = described.shape() == ModelSpec::Shape::encoder
                           ? measure::forecast(model, Described::encoder_options(o_), plan_.use, timing)
                           : measure::forecast(model, o_.engine, plan_.use, timing);
    if (!speed.ok() && speed.error().code == Code::cancelled) return speed.error();
    if (speed.ok()) {
      row.speed = *speed;
    } else {
      row.problem = speed.error().message;
    }
    return {};
  }

  Result<PlanRow> other(const std::string& name) {
    PlanRow row{.type = name};
    MIAO_TRY(const Recipe recipe, Recipe::named(name));
    auto made = planned(recipe);
    if (!made.ok()) {
      row.problem = made.error().str();
      return row;
    }
    MIAO_TRY(const Described described, Described::open(*made, o_));
    MIAO_CHECK_OK(fill(row, *made, described, plan_.shape == ModelSpec::Shape::encoder));
    return row;
  }

  const io::Checkpoint& file_;
  const PlanOptions& o_;
  Plan plan_;
  int64_t program_ = 0;
};

}  // namespace

int64_t PlanMemory::peak() const {
  const int64_t in_use = sum(embedding, sum(buffers, kv));
  return sum(sum(weights, program), std::max(in_use, loading));
}

Result<Plan> make_plan(const io::Checkpoint& model, const PlanOptions& options) {
  return Planner(model, options).run();
}

}  // namespace miao::compress
