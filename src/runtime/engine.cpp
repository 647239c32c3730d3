#include "runtime/engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
#include "graph/program.h"
#include "runtime/engine/state.h"
#include "runtime/text.h"

namespace miao::runtime {

namespace {

// Each row read from the mapped embedding brings in the 64 KiB around it; after so many rows the pages are given back.
constexpr int64_t kEmbeddedRows = 64;

}  // namespace

Result<models::ModelSpec::Shape> model_shape(const std::filesystem::path& path) {
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(path));
  return models::shape_of(checkpoint);
}

graph::Precision precision_of(Compute compute) {
  switch (compute) {
    case Compute::f32:
      return graph::Precision::f32;
    case Compute::bf16x3:
      return graph::Precision::bf16x3;
    case Compute::bf16x2:
      return graph::Precision::bf16x2;
    case Compute::floats:
      return graph::Precision::floats;
    case Compute::int8:
      return graph::Precision::int8;
    case Compute::automatic:
      break;
  }
  return graph::Precision::file;
}

Engine::Engine(std::unique_ptr<State> state) : Blockwise(*state->loaded), state_(std::move(state)) {}
Engine::~Engine() = default;

namespace {

models::LoadOptions load_options(const EngineOptions& options) {
  models::LoadOptions load;
  load.precision = precision_of(options.compute);
  load.kv = options.kv;
  load.ctx = options.ctx;
  load.chunk = options.chunk;
  load.packs = options.packs;
  load.cancel = options.cancel;
  load.weights = options.weights;
  load.blocks = options.blocks;
  return load;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const std::filesystem::path& path, const EngineOptions& options) {
  const double start = now_seconds();
  MIAO_TRY(auto loaded,
           Loaded::open(path, options.threads, options.isa, load_options(options), models::ModelSpec::Shape::decoder));
  return over(std::move(loaded), options, start);
}

Result<std::unique_ptr<Engine>> Engine::open(io::Checkpoint checkpoint, const EngineOptions& options) {
  const double start = now_seconds();
  MIAO_TRY(auto loaded, Loaded::open(std::move(checkpoint), options.threads, options.isa, load_options(options),
                                     models::ModelSpec::Shape::decoder));
  return over(std::move(loaded), options, start);
}

Result<std::unique_ptr<Engine>> Engine::over(std::unique_ptr<Loaded> loaded, const EngineOptions& options,
                                             double start) {
  auto state = std::make_unique<State>(std::move(loaded));
  state->can_run = options.weights;
  state->chunk = std::min<int64_t>(options.chunk, state->model->ctx());
  state->make_caches();
  state->chat_template.emplace(load_chat_template(state->checkpoint));
  state->load_seconds = now_seconds() - start;
  std::unique_ptr<Engine> engine(new Engine(std::move(state)));
  if (!options.weights) return engine;
  if (const auto fits = engine->check_memory(1, engine->ctx()); !fits.ok()) {
    log_warn("a text that fills the context will fail: " + fits.error().message);
  }
  return engine;
}

namespace {

// Whole pages; nothing where they are too many to count.
std::optional<uint64_t> kv_bytes(const KvCache& cache, int64_t sequences, int64_t positions) {
  const auto pages = static_cast<uint64_t>(kernels::round_up(positions, kernels::kPage));
  const auto each = checked_mul(pages, static_cast<uint64_t>(cache.bytes_per_token()));
  return each ? checked_mul(*each, static_cast<uint64_t>(sequences)) : each;
}

int64_t saturated(std::optional<uint64_t> bytes) {
  return static_cast<int64_t>(std::min<uint64_t>(bytes.value_or(INT64_MAX), INT64_MAX));
}

int64_t saturated_sum(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

}  // namespace

void Engine::State::make_caches() {
  const models::ModelSpec& spec = model->spec();
  const models::AttentionSpec& attn = spec.block.attn;
  kv = std::make_unique<KvCache>(KvShape{spec.layers, attn.kv_heads, attn.head_dim, model->kv()});
  if (spec.encoder) memory = std::make_unique<KvCache>(KvShape{spec.layers, attn.heads, attn.head_dim, model->kv()});
}

Result<void> Engine::use_kv(kernels::KvType kv) {
  if (kv == kv_type()) return {};
  MIAO_CHECK_OK(state_->model->use_kv(kv));
  state_->make_caches();
  return {};
}

std::optional<uint64_t> Engine::State::logits_bytes(int64_t rows) const {
  return checked_mul(static_cast<uint64_t>(rows), static_cast<uint64_t>(logits_stride()) * sizeof(float));
}

Result<void> Engine::check_memory(int64_t sequences, int64_t positions) const {
  const auto idle = static_cast<uint64_t>(state_->kv->bytes_idle());
  const auto keys = kv_bytes(*state_->kv, sequences, positions);
  const auto logits = state_->logits_bytes(sequences);
  const uint64_t bytes = (keys && logits ? checked_add(*keys, *logits) : std::nullopt).value_or(UINT64_MAX);
  const int bits = kernels::kv_format(kv_type()).bits;
  const std::string lower = "lower the context length (ctx)";
  const std::string mend =
      bits <= 4 ? "or " + lower : lower + ", or choose " + (bits > 8 ? "int8" : "int4") + " for keys and values (kv)";
  return require_memory(bytes - std::min(bytes, idle),
                        "keys and values of " + std::to_string(sequences) + (sequences == 1 ? " text" : " texts") +
                            " of " + std::to_string(positions) + " positions",
                        "take fewer, " + mend);
}

Result<const prep::ChatTemplate*> Engine::chat_template() const {
  const Result<std::optional<prep::ChatTemplate>>& loaded = *state_->chat_template;
  if (!loaded.ok()) return loaded.error();
  return *loaded ? &**loaded : nullptr;
}
int64_t Engine::ctx() const { return state_->model->ctx(); }
int64_t Engine::input_ctx() const { return state_->model->encoder_ctx(); }
int64_t Engine::vocab() const { return state_->vocab(); }
kernels::KvType Engine::kv_type() const { return state_->model->kv(); }
double Engine::load_seconds() const { return state_->load_seconds; }
Sequence Engine::new_sequence() { return Sequence(*state_->kv); }

MemoryReport Engine::memory() const {
  MemoryReport out = state_->loaded->memory();
  out.buffers += static_cast<int64_t>(state_->logits.size() + state_->frames.size());
  out.kv_reserved = state_->kv->bytes_reserved() + (state_->memory ? state_->memory->bytes_reserved() : 0);
  out.kv_per_token = state_->kv->bytes_per_token();
  return out;
}

MemoryReport Engine::memory(int64_t sequences, int64_t positions) const {
  MemoryReport out = state_->loaded->memory();
  out.buffers = saturated_sum(out.buffers, saturated(state_->logits_bytes(sequences)));
  out.kv_per_token = state_->kv->bytes_per_token();
  out.kv_reserved = saturated(kv_bytes(*state_->kv, sequences, positions));
  if (state_->memory) {
    out.buffers = saturated_sum(out.buffers, state_->frames_bytes(input_ctx()));
    out.kv_reserved = saturated_sum(out.kv_reserved, saturated(kv_bytes(*state_->memory, sequences, input_ctx())));
  }
  return out;
}

std::vector<KernelReport> Engine::kernels() const { return state_->loaded->kernels(); }

void Engine::tap(Tap fn) {
  graph::Program::Tap tap;
  if (fn) {
    tap = [fn = std::move(fn)](std::string_view name, const graph::View& view) {
      fn(name, view.data, view.rows, view.cols, view.stride);
    };
  }
  for (graph::Program* program : state_->loaded->programs()) program->tap(tap);
}
void Engine::profile(bool on) {
  for (graph::Program* program : state_->loaded->programs()) program->profile(on);
}
double Engine::block_seconds() const { return state_->model->program().block_seconds(); }
std::vector<std::pair<std::string, double>> Engine::profile() const {
  std::vector<std::pair<std::string, double>> out;
  for (graph::Program* program : state_->loaded->programs()) {
    for (const auto& step : program->profile()) {
      const auto at =
          std::find_if(out.begin(), out.end(), [&](const auto& entry) { return entry.first == step.first; });
      if (at == out.end()) {
        out.push_back(step);
      } else {
        at->second += step.second;
      }
    }
  }
  return out;
}

Result<void> Engine::State::check(std::span<const Slice> batch) {
  const int64_t limit = model->ctx();
  if (batch.empty()) return Error{Code::invalid, "the batch has no slices", {}};
  for (size_t i = 0; i < batch.size(); ++i) {
    const Slice& slice = batch[i];
    MIAO_CHECK(slice.sequence != nullptr);
    if ((slice.memory != nullptr) != (memory != nullptr)) {
      return Error{Code::invalid,
                   memory ? "an encoder-decoder needs an input; encode() reads it" : "this decoder reads no input",
                   {}};
    }
    if (slice.tokens.empty()) return Error{Code::invalid, "a slice has no tokens; give at least one", {}};
    const int64_t size = slice.sequence->size() + static_cast<int64_t>(slice.tokens.size());
    if (size > limit) {
      return Error{Code::invalid,
                   "the text has " + std::to_string(size) + " tokens and the context holds " + std::to_string(limit) +
                       "; shorten it or raise the context length",
                   {}};
    }
    for (const int32_t id : slice.tokens) {
      if (id < 0 || id >= vocab()) {
        return Error{
            Code::invalid, "token id " + std::to_string(id) + " is not within 0 to " + std::to_string(vocab() - 1), {}};
      }
    }
    for (size_t j = 0; j < i; ++j) {
      if (batch[j].sequence == slice.sequence) return Error{Code::invalid, "a batch names the same sequence twice", {}};
    }
  }
  return {};
}

int64_t Engine::State::rows_of_logits() const {
  constexpr int64_t kBytes = int64_t{64} << 20;
  return std::clamp<int64_t>(kBytes / (logits_stride() * static_cast<int64_t>(sizeof(float))), 1, chunk);
}

// Makes room for all positions and logits rows; returns the number of the latter.
Result<int64_t> Engine::State::prepare(std::span<const Slice> batch) {
  int64_t rows = 0;
  for (const Slice& slice : batch) {
    if (slice.logits == Want::last) ++rows;
    if (slice.logits == Want::all) rows += static_cast<int64_t>(slice.tokens.size());
  }
  const size_t bytes = static_cast<size_t>(rows * logits_stride()) * sizeof(float);
  if (bytes > logits.size()) {
    MIAO_CHECK_OK(require_memory(bytes, "the logits of a pass", "take fewer texts or rows at once"));
    MIAO_TRY(Memory grown, Memory::allocate(bytes));
    logits = std::move(grown);
  }
  for (const Slice& slice : batch) {
    Result<void> reserved = slice.sequence->reserve(slice.sequence->size() + static_cast<int64_t>(slice.tokens.size()));
    if (reserved.ok()) continue;
    for (const Slice& undo : batch) undo.sequence->truncate(undo.sequence->size());
    return std::move(reserved.error());
  }
  return rows;
}

// Runs the rows that have been gathered; false when that was cancelled.
bool Engine::State::run(int64_t& logits_row, Cancel cancel, const graph::Blocks* blocks) {
  graph::Pass pass;
  pass.ids = ids;
  pass.slices = slices;
  pass.wanted = wanted;
  pass.ld_logits = logits_stride();
  pass.logits = logits.as<float>() + logits_row * pass.ld_logits;
  pass.cancel = cancel;
  const bool done = blocks ? model->program().run(pass, *blocks) : model->program().run(pass);
  for (size_t i = 0; done && i < slices.size(); ++i) sequences[i]->advance(slices[i].position + slices[i].rows);
  embedded += static_cast<int64_t>(ids.size());
  if (const TensorView* table = model->embedding(); table && embedded >= kEmbeddedRows) {
    checkpoint.release({table->data, static_cast<size_t>(table->bytes)});
    embedded = 0;
  }
  logits_row += static_cast<int64_t>(wanted.size());
  ids.clear();
  wanted.clear();
  slices.clear();
  sequences.clear();
  return done;
}

Result<Logits> Engine::forward(std::span<const Slice> batch, Cancel cancel) {
  State& s = *state_;
  MIAO_CHECK(s.can_run);
  MIAO_CHECK_OK(s.check(batch));
  MIAO_TRY(const int64_t rows, s.prepare(batch));
  s.starts.clear();
  for (const Slice& slice : batch) s.starts.push_back(slice.sequence->size());
  int64_t done = 0;
  bool going = true;
  for (size_t i = 0; going && i < batch.size(); ++i) {
    const Slice& slice = batch[i];
    const auto count = static_cast<int64_t>(slice.tokens.size());
    const int64_t start = s.starts[i];
    for (int64_t at = 0; going && at < count;) {
      const auto row = static_cast<int64_t>(s.ids.size());
      const int64_t n = std::min(count - at, s.chunk - row);
      s.ids.insert(s.ids.end(), slice.tokens.begin() + at, slice.tokens.begin() + at + n);
      s.slices.push_back({row, n, start + at, slice.sequence->pages(), {}, 0});
      if (slice.memory) {
        s.slices.back().memory = slice.memory->pages();
        s.slices.back().memory_rows = slice.memory->size();
      }
      s.sequences.push_back(slice.sequence);
      for (int64_t t = 0; t < n; ++t) {
        if (slice.logits == Want::all || (slice.logits == Want::last && at + t == count - 1)) {
          s.wanted.push_back(static_cast<int32_t>(row + t));
        }
      }
      at += n;
      if (static_cast<int64_t>(s.ids.size()) == s.chunk) going = s.run(done, cancel);
    }
  }
  if (!s.ids.empty()) going = s.run(done, cancel);
  if (!going) {
    for (size_t i = 0; i < batch.size(); ++i) batch[i].sequence->truncate(s.starts[i]);
    return Error{Code::cancelled, "interrupted", {}};
  }
  return Logits(s.logits.as<float>(), rows, s.vocab(), s.logits_stride());
}

Result<Logits> Engine::forward(Sequence& sequence, std::span<const int32_t> tokens, Want want, Cancel cancel) {
  return forward(sequence, tokens, want, nullptr, cancel);
}

Result<Logits> Engine::forward(Sequence& sequence, std::span<const int32_t> tokens, Want want, const Sequence* memory,
                               Cancel cancel) {
  const Slice slice{&sequence, tokens, want, memory};
  return forward({&slice, 1}, cancel);
}

Result<float> Engine::log_sum_exp(std::span<const float> logits, std::span<float> scratch) const {
  MIAO_CHECK(scratch.size() >= logits.size());
  const kernels::Kernels& k = state_->loaded->context.kernels;
  const auto n = static_cast<int64_t>(logits.size());
  k.softmax(logits.data(), n, 1, scratch.data());
  const auto best = static_cast<size_t>(k.argmax(logits.data(), n));
  const float out = logits[best] - std::log(scratch[best]);  // the largest share is far from zero
  if (!std::isfinite(out)) {
    return Error{Code::corrupt, "the model gives logits that are no numbers; its file may be damaged", {}};
  }
  return out;
}

Result<void> Engine::forward_all(Sequence& sequence, std::span<const int32_t> tokens, const Sink& sink, Cancel cancel,
                                 const Sequence* memory) {
  const Slice whole{&sequence, tokens, Want::all, memory};
  MIAO_CHECK_OK(state_->check({&whole, 1}));
  const auto rows = static_cast<size_t>(state_->rows_of_logits());
  for (size_t first = 0; first < tokens.size(); first += rows) {
    const auto piece = tokens.subspan(first, std::min(rows, tokens.size() - first));
    MIAO_TRY(Logits logits, forward(sequence, piece, Want::all, memory, cancel));
    MIAO_CHECK_OK(sink(static_cast<int64_t>(first), logits));
  }
  return {};
}

}  // namespace miao::runtime
