// Decoders: windows of tokens, distributions of the next one, requests that read and write.
#include <algorithm>

#include "base/memory.h"
#include "compress/calibration_text.h"
#include "compress/search/records.h"
#include "compress/search/task.h"
#include "graph/context.h"
#include "io/checkpoint.h"
#include "measure/bench.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"

namespace miao::compress {

namespace {

using runtime::Engine;

constexpr int64_t kWindow = 512, kSearchWindow = 256;
constexpr int64_t kOwnContext = 4096;                            // that an engine takes unasked
constexpr std::array<int64_t, kSets> kMost = {64, 4, 100, 200};  // windows
constexpr std::array<int64_t, kSets> kOwn = {64, 4, 48, 96};     // of text that the model writes, which takes time
constexpr int64_t kLeastWindows = 8;                             // of the sets that verdicts are about
constexpr int64_t kLogitsBytes = int64_t{1} << 30;               // of the search set, kept

class DecoderTask : public Task {
 public:
  explicit DecoderTask(const CompressOptions& options) : Task(options), ctx_(std::max(kWindow, options.request.ctx())) {
    if (options.lengths) ctx_ = std::max(ctx_, options.lengths->max());
  }

  Wording wording() const override { return {}; }

  Result<std::unique_ptr<Model>> open(const std::filesystem::path& file) override {
    runtime::EngineOptions options = engine_options();
    MIAO_TRY(auto engine, Engine::open(file, options));
    const int64_t own = std::min(engine->spec().ctx, kOwnContext);
    if (!o_.questions.empty() && engine->ctx() < own) {  // questions may be as long as the model allows
      engine.reset();
      options.ctx = ctx_ = own;
      MIAO_TRY(engine, Engine::open(file, options));
    }
    MIAO_CHECK_OK(engine->check_memory(o_.request.batch, o_.request.ctx()));
    if (o_.lengths) MIAO_CHECK_OK(engine->check_memory(1, o_.lengths->max()));
    return std::unique_ptr<Model>(std::move(engine));
  }

  // Tiles of bf16 are what makes it faster: 2 to 6 bytes for each floating weight, which may be the smaller half of
  // what is free.
  Result<std::unique_ptr<Model>> open_judge(const Model& base) override {
    if (base.context().kernels.isa != kernels::Isa::amx) return std::unique_ptr<Model>();
    uint64_t bytes = 0;
    for (const TensorView& t : base.checkpoint().tensors())
      bytes +=
          2 * static_cast<uint64_t>(base.context().kernels.bf16x3_of(t.dtype).block_bytes(t.cols()) * t.rows() / 16);
    if (!require_memory(bytes, {}, {}).ok()) return std::unique_ptr<Model>();
    runtime::EngineOptions options = engine_options();
    options.compute = runtime::Compute::floats;
    MIAO_TRY(auto engine, Engine::open(base.checkpoint().path(), options));
    return std::unique_ptr<Model>(std::move(engine));
  }

  Result<Sets> cut(Model& model, const Kept& kept) override {
    auto& base = static_cast<Engine&>(model);
    std::array<std::string, kSets> texts;
    if (!o_.text.empty()) {
      texts = o_.final_text.empty() ? split_text(o_.text, {0.25, 0.05, 0.25, 0.45})
                                    : split_text(o_.text, {0.42, 0.08, 0.5, 0});
      if (!o_.final_text.empty()) texts[kFinal] = o_.final_text;
    }
    Sets out{.items = {}, .calibration_text = texts[kCalibration], .data = {}};
    for (size_t s = 0; s < kSets; ++s) {
      const auto set = static_cast<Set>(s);
      const WindowOptions size = size_of(base, set);
      MIAO_TRY(sets_[s], o_.text.empty() ? written(base, set, size, kept) : read(base, set, size, texts[s]));
    }
    out.items = sets_;
    return out;
  }

  Request request() const override { return o_.request; }
  Clock clock(Model& model) const override { return clock_of(static_cast<Engine&>(model), o_.request, o_.cancel); }

  Result<measure::LatencyReport> latency(Model& model, const measure::Workload& workload) const override {
    return measure::bench_latency(static_cast<Engine&>(model), workload, runtime::EngineOptions().chunk);
  }

  int64_t memory(const Model& model) const override {
    const runtime::MemoryReport m = static_cast<const Engine&>(model).memory(o_.request.batch, o_.request.ctx());
    return m.weights + m.embedding + m.buffers + m.kv_reserved;
  }

  std::optional<kernels::KvType> kv_type(const Model& model) const override {
    return static_cast<const Engine&>(model).kv_type();
  }
  Result<void> use_kv(Model& model, kernels::KvType kv) const override {
    return static_cast<Engine&>(model).use_kv(kv);
  }

  Result<Json> measure(Model& model, Model& base, Set set, const measure::QualityRun& run) const override {
    auto& other = static_cast<Engine&>(base);
    MIAO_TRY(const auto records, measure::measure_windows(static_cast<Engine&>(model), &other, sets_[set], run));
    return to_json(records);
  }

  Result<measure::Quality> quality(const Json& json) const override {
    MIAO_TRY(const measure::TextRecords records, text_records_of(json));
    return measure::summarise(records, o_.level);
  }

 private:
  runtime::EngineOptions engine_options() const {
    return {.threads = o_.threads, .ctx = ctx_, .isa = {}, .packs = {}, .cancel = o_.cancel};
  }

  WindowOptions size_of(const Engine& base, Set set) const {
    const int64_t window = std::min(kWindow, base.ctx());
    if (set != kSearch) return {(o_.text.empty() ? kOwn : kMost)[set], window};
    const int64_t search_window = std::min(kSearchWindow, window);
    const int64_t rows = kLogitsBytes / (base.vocab() * static_cast<int64_t>(sizeof(float)));
    return {std::clamp<int64_t>(rows / search_window, 1, kMost[kSearch]), search_window};
  }

  Result<Items> written(Engine& base, Set set, const WindowOptions& size, const Kept& kept) const {
    OwnTextOptions own{.size = size, .seed = o_.seed + set, .progress = {}, .cancel = o_.cancel};
    own.progress = [&](int64_t tokens) {
      progress(std::string("writing text: ") + kSetNames[set], tokens, size.windows * (size.tokens - 1));
    };
    const Json key{{"what", "own text"}, {"seed", own.seed}, {"windows", size.windows}, {"tokens", size.tokens}};
    MIAO_TRY(const Json windows, kept(key, [&]() -> Result<Json> {
               MIAO_TRY(const auto made, own_text(base, own));
               return Json(made);
             }));
    return windows.get<Items>();
  }

  Result<Items> read(Engine& base, Set set, const WindowOptions& size, const std::string& text) const {
    MIAO_TRY(const prep::Tokenizer* tokenizer, base.tokenizer());
    auto cut = text_windows(*tokenizer, text, size);
    if (!cut.ok()) {
      cut.error().message = std::string("its share for ") + kSetNames[set] + " " + cut.error().message;
      return std::move(cut.error()).at(o_.text_name);
    }
    const auto found = static_cast<int64_t>(cut->size());
    if ((set == kVerify || set == kFinal) && found < kLeastWindows) {
      return Error{Code::invalid,
                   std::string("is too short: ") + std::to_string(found) + " windows are left for " + kSetNames[set] +
                       ", and a confidence bound needs " + std::to_string(kLeastWindows) + "; give about " +
                       std::to_string((kLeastWindows + found) / std::max<int64_t>(1, found)) + " times as much text",
                   o_.text_name};
    }
    return std::move(*cut);
  }

  int64_t ctx_;
  std::array<Items, kSets> sets_;
};

}  // namespace

std::unique_ptr<Task> decoder_task(const CompressOptions& options) { return std::make_unique<DecoderTask>(options); }

}  // namespace miao::compress
