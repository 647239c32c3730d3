// See encoder.h.
#include "runtime/encoder.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/checked.h"
#include "base/clock.h"
#include "runtime/loaded.h"

namespace miao::runtime {

struct Encoder::State {
  explicit State(std::unique_ptr<Loaded> parts) : loaded(std::move(parts)), spec(loaded->model->spec()) {}

  std::unique_ptr<Loaded> loaded;
  const models::ModelSpec& spec;
  int64_t batch = 0;
  double load_seconds = 0;
  bool can_run = true;  // weights are there
  // Of the run in hand.
  Memory rows;
  std::vector<int64_t> first;
  std::vector<int32_t> ids, types, wanted;
  std::vector<graph::PassSlice> slices;

  int64_t cols() const { return spec.head.outputs > 0 ? spec.head.outputs : spec.dim; }
  int64_t stride() const { return kernels::round_up(cols(), kernels::kLanes); }
  int64_t rows_of(const EncoderInput& input) const {
    return spec.head.pooled() ? 1 : static_cast<int64_t>(input.ids.size());
  }
  Result<void> check(const EncoderInput& input) const;
  void add(const EncoderInput& input);
  void forget();  // what has been added
  Result<void> reserve(int64_t count);
  bool run_pass(int64_t& done, const std::atomic<bool>* cancel, const graph::Blocks* blocks = nullptr);
};

Encoder::Encoder(std::unique_ptr<State> state) : Blockwise(*state->loaded), state_(std::move(state)) {}
Encoder::~Encoder() = default;

Result<std::unique_ptr<Encoder>> Encoder::open(const std::filesystem::path& path, const EncoderOptions& options) {
  MIAO_TRY(io::Checkpoint checkpoint, io::Checkpoint::open(path));
  return open(std::move(checkpoint), options);
}

Result<std::unique_ptr<Encoder>> Encoder::open(io::Checkpoint checkpoint, const EncoderOptions& options) {
  const double start = now_seconds();
  models::LoadOptions load;
  load.precision = precision_of(options.compute);
  load.packs = options.packs;
  load.rows = options.rows;
  load.ctx = options.ctx;
  load.encoder_alone = true;
  load.chunk = options.batch;
  load.cancel = options.cancel;
  load.weights = options.weights;
  load.blocks = options.blocks;
  MIAO_TRY(auto loaded,
           Loaded::open(std::move(checkpoint), options.threads, options.isa, load, models::ModelSpec::Shape::encoder));
  auto state = std::make_unique<State>(std::move(loaded));
  state->batch = options.batch;
  state->can_run = options.weights;
  state->load_seconds = now_seconds() - start;
  return std::unique_ptr<Encoder>(new Encoder(std::move(state)));
}

int64_t Encoder::ctx() const { return state_->loaded->model->ctx(); }

std::vector<KernelReport> Encoder::kernels() const { return state_->loaded->kernels(); }
double Encoder::load_seconds() const { return state_->load_seconds; }

MemoryReport Encoder::memory() const {
  MemoryReport out = state_->loaded->memory();
  out.buffers += static_cast<int64_t>(state_->rows.size());
  return out;
}

MemoryReport Encoder::memory(int64_t inputs, int64_t tokens) const {
  MemoryReport out = state_->loaded->memory();
  const auto rows =
      checked_mul(static_cast<uint64_t>(inputs), static_cast<uint64_t>(state_->spec.head.pooled() ? 1 : tokens));
  const auto bytes = rows ? checked_mul(*rows, static_cast<uint64_t>(state_->stride()) * sizeof(float)) : rows;
  const auto all = bytes ? checked_add(*bytes, static_cast<uint64_t>(out.buffers)) : bytes;
  out.buffers = static_cast<int64_t>(std::min<uint64_t>(all.value_or(INT64_MAX), INT64_MAX));
  return out;
}

void Encoder::profile(bool on) { state_->loaded->model->program().profile(on); }
double Encoder::block_seconds() const { return state_->loaded->model->program().block_seconds(); }
std::vector<std::pair<std::string, double>> Encoder::profile() const {
  return state_->loaded->model->program().profile();
}

Result<void> Encoder::State::check(const EncoderInput& input) const {
  const auto size = static_cast<int64_t>(input.ids.size()), limit = loaded->model->ctx();
  if (size == 0) return Error{Code::invalid, "it has no tokens", {}};
  if (size > limit) {
    return Error{
        Code::invalid,
        "it has " + std::to_string(size) + " tokens and the model reads " + std::to_string(limit) + "; shorten it",
        {}};
  }
  if (!input.types.empty() && input.types.size() != input.ids.size()) {
    return Error{Code::invalid, "it has not as many types as ids", {}};
  }
  for (const int32_t id : input.ids) {
    if (id < 0 || id >= spec.vocab) {
      return Error{Code::invalid,
                   "token id " + std::to_string(id) + " is not within 0 to " + std::to_string(spec.vocab - 1),
                   {}};
    }
  }
  for (const int32_t type : input.types) {
    const int64_t known = std::max<int64_t>(1, spec.token_types);  // a model without segments ignores them
    if (type < 0 || (type >= known && spec.token_types > 0)) {
      return Error{
          Code::invalid, "type " + std::to_string(type) + " is not within 0 to " + std::to_string(known - 1), {}};
    }
  }
  return {};
}

void Encoder::State::add(const EncoderInput& input) {
  const auto row = static_cast<int64_t>(ids.size()), count = static_cast<int64_t>(input.ids.size());
  ids.insert(ids.end(), input.ids.begin(), input.ids.end());
  if (input.types.empty()) {
    types.resize(ids.size(), 0);
  } else {
    types.insert(types.end(), input.types.begin(), input.types.end());
  }
  slices.push_back({row, count, 0, {}});
  for (int64_t t = 0; t < rows_of(input); ++t) wanted.push_back(static_cast<int32_t>(row + t));
}

// Room for so many rows of results.
Result<void> Encoder::State::reserve(int64_t count) {
  const auto bytes = static_cast<size_t>(count * stride()) * sizeof(float);
  if (bytes <= rows.size()) return {};
  MIAO_CHECK_OK(require_memory(bytes, "the results", "take fewer inputs at once"));
  MIAO_TRY(rows, Memory::allocate(bytes));
  return {};
}

// Runs what has been added; false when that was cancelled.
bool Encoder::State::run_pass(int64_t& done, const std::atomic<bool>* cancel, const graph::Blocks* blocks) {
  graph::Pass pass;
  pass.ids = ids;
  pass.types = types;
  pass.slices = slices;
  pass.wanted = wanted;
  pass.ld_logits = stride();
  pass.logits = rows.as<float>() + done * pass.ld_logits;
  pass.cancel = cancel;
  graph::Program& program = loaded->model->program();
  const bool finished = blocks ? program.run(pass, *blocks) : program.run(pass);
  done += static_cast<int64_t>(wanted.size());
  forget();
  return finished;
}

void Encoder::State::forget() {
  ids.clear();
  types.clear();
  wanted.clear();
  slices.clear();
}

Result<Encoded> Encoder::run(std::span<const EncoderInput> inputs, const std::atomic<bool>* cancel) {
  State& s = *state_;
  MIAO_CHECK(s.can_run);
  s.first.assign(1, 0);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (const auto good = s.check(inputs[i]); !good.ok()) {
      return Error(good.error()).at("input " + std::to_string(i + 1));
    }
    s.first.push_back(s.first.back() + s.rows_of(inputs[i]));
  }
  MIAO_CHECK_OK(s.reserve(s.first.back()));
  int64_t done = 0;
  bool going = true;
  for (size_t i = 0; going && i < inputs.size(); ++i) {
    if (!s.ids.empty() && static_cast<int64_t>(s.ids.size() + inputs[i].ids.size()) > s.batch) {
      going = s.run_pass(done, cancel);
    }
    if (going) s.add(inputs[i]);
  }
  if (going && !s.ids.empty()) going = s.run_pass(done, cancel);
  if (!going) return Error{Code::cancelled, "interrupted", {}};
  return Encoded(s.rows.as<float>(), s.cols(), s.stride(), s.first);
}

Result<void> Encoder::run_blocks(Inputs inputs, graph::Blocks blocks, const Sink& sink, Cancel cancel) {
  State& s = *state_;
  MIAO_CHECK(s.can_run);
  int64_t given = 0;  // results
  const auto pass = [&]() -> Result<void> {
    const auto ids = static_cast<int64_t>(s.ids.size());
    if (blocks.out) {  // blocks that end inside of the model give all rows
      s.wanted.resize(s.ids.size());
      std::iota(s.wanted.begin(), s.wanted.end(), 0);
    }
    const auto rows = blocks.out ? 0 : static_cast<int64_t>(s.wanted.size());
    MIAO_CHECK_OK(s.reserve(rows));
    int64_t done = 0;
    if (!s.run_pass(done, cancel, &blocks)) return Error{Code::cancelled, "interrupted", {}};
    if (blocks.in) blocks.in += ids * blocks.ld;
    if (blocks.out) blocks.out += ids * blocks.ld;
    given += rows;
    return blocks.out ? Result<void>() : sink(given - rows, Logits(s.rows.as<float>(), rows, s.cols(), s.stride()));
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const EncoderInput input{.ids = inputs[i]};
    if (const auto good = s.check(input); !good.ok()) {
      s.forget();
      return Error(good.error()).at("input " + std::to_string(i + 1));
    }
    if (!s.ids.empty() && static_cast<int64_t>(s.ids.size() + input.ids.size()) > s.batch) MIAO_CHECK_OK(pass());
    s.add(input);
  }
  return s.ids.empty() ? Result<void>() : pass();
}

}  // namespace miao::runtime
