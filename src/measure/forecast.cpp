// See forecast.h.
#include "measure/forecast.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/cpu.h"
#include "measure/stats.h"
#include "models/spec.h"

namespace miao::measure {

namespace {

using runtime::Encoder;
using runtime::Engine;
using runtime::KernelReport;
using runtime::Sequence;
using runtime::Slice;
using runtime::Want;

constexpr int64_t kLeast = int64_t{64} << 20, kMost = int64_t{640} << 20;  // bytes of blocks that are run
constexpr int kProfiled = 3;                                               // passes that are timed step by step

bool of_blocks(const KernelReport& group) {
  for (const char* outside : {"lm_head", "dense", "project"}) {
    if (group.weights == outside) return false;
  }
  return true;
}

struct Sum {
  double bytes = 0, products = 0;  // of the blocks
  double ffn = 0;                  // products of feed-forward parts
};
Sum sum_of(std::span<const KernelReport> groups) {
  Sum out;
  for (const KernelReport& g : groups) {
    if (!of_blocks(g)) continue;
    out.bytes += static_cast<double>(g.bytes);
    out.products += g.products;
    if (g.weights == "gate_up" || g.weights == "down") out.ffn += g.products;
  }
  return out;
}

int64_t blocks_to_run(const Sum& all, int64_t layers, int64_t least_bytes) {
  const int64_t cold = std::clamp(static_cast<int64_t>(cache_bytes() + cache_bytes() / 4), kLeast, kMost);
  const double wanted = static_cast<double>(least_bytes > 0 ? least_bytes : cold);
  const double each = std::max(1.0, all.bytes / static_cast<double>(layers));
  return static_cast<int64_t>(std::clamp(std::ceil(wanted / each), 1.0, static_cast<double>(layers)));
}

// The median of as many runs as fit into the time, behind one that does not count.
Result<double> typical(const std::function<Result<void>()>& run, double seconds) {
  constexpr size_t kLeastRuns = 3, kMostRuns = 200;
  MIAO_CHECK_OK(run());
  std::vector<double> taken;
  const double begin = now_seconds();
  while (taken.size() < kMostRuns && (taken.size() < kLeastRuns || now_seconds() - begin < seconds)) {
    const double start = now_seconds();
    MIAO_CHECK_OK(run());
    taken.push_back(now_seconds() - start);
    if (taken.back() > seconds) break;
  }
  return median(taken);
}

// The share of a pass that its blocks take. `engine` is an Engine or an Encoder.
template <class E>
Result<double> share_of_blocks(E& engine, const std::function<Result<void>()>& run) {
  engine.profile(true);
  for (int i = 0; i < kProfiled; ++i) MIAO_CHECK_OK(run());
  double all = 0;
  for (const auto& [kind, seconds] : engine.profile()) all += seconds;
  const double blocks = engine.block_seconds();
  engine.profile(false);
  return all > 0 ? blocks / all : 1;
}

double scaled(double seconds, double share_of_blocks, double factor) {
  return seconds * (share_of_blocks * factor + 1 - share_of_blocks);
}

class Decoder {
 public:
  Decoder(Engine& engine, const Sum& all, int64_t layers, const ForecastCase& what, const ForecastOptions& how,
          const std::atomic<bool>* cancel)
      : engine_(engine), all_(all), layers_(layers), what_(what), how_(how), cancel_(cancel) {}

  Result<Forecast> run(int64_t chunk) {
    Forecast out{.blocks = engine_.spec().layers};
    MIAO_TRY(out.step_seconds, step());
    if (!how_.prefill || what_.prompt == 0) return out;
    const int64_t tokens = what_.users * what_.prompt, whole = std::min({chunk, tokens, engine_.ctx()});
    MIAO_TRY(const double piece, chunk_of(whole));
    out.prefill_seconds = static_cast<double>(tokens / whole) * piece;
    if (const int64_t rest = tokens % whole; rest > 0) {
      MIAO_TRY(const double last, chunk_of(rest));
      out.prefill_seconds += last;
    }
    out.prefill_seconds += outside_;  // the output matrix, for the last row of each prompt
    return out;
  }

 private:
  // A token for each user, behind the prompt and half of what is written.
  Result<double> step() {
    const int64_t depth = std::min(what_.prompt + what_.gen / 2, engine_.ctx() - 1);
    MIAO_CHECK_OK(engine_.check_memory(what_.users, depth + 1));
    std::vector<Sequence> sequences;
    for (int64_t i = 0; i < what_.users; ++i) {
      sequences.push_back(engine_.new_sequence());
      MIAO_CHECK_OK(sequences.back().fill(depth));
    }
    const int32_t token = 0;
    const auto once = [&]() -> Result<void> {
      std::vector<Slice> slices;
      for (Sequence& s : sequences) {
        s.truncate(depth);
        slices.push_back({&s, {&token, 1}, Want::last});
      }
      MIAO_CHECK_OK(engine_.forward(slices, cancel_));
      return {};
    };
    MIAO_TRY(const double seconds, typical(once, how_.seconds));
    MIAO_TRY(const double share, share_of_blocks(engine_, once));
    outside_ = (1 - share) * seconds;
    return scaled(seconds, share, all_.bytes / sum_of(engine_.kernels()).bytes);
  }

  // A piece of a prompt, where the mean of its pieces stands. The blocks run for all rows; the model's last one leaves
  // out the feed-forward part of rows without logits.
  Result<double> chunk_of(int64_t rows) {
    const int64_t blocks = engine_.spec().layers, ld = kernels::round_up(engine_.spec().dim, kernels::kLanes);
    const int64_t depth = std::clamp<int64_t>((what_.prompt - rows) / 2, 0, engine_.ctx() - rows);
    Sequence sequence = engine_.new_sequence();
    MIAO_CHECK_OK(sequence.fill(depth));
    std::vector<float> out(static_cast<size_t>(rows * ld));
    const std::vector<int32_t> ids(static_cast<size_t>(rows));
    graph::Blocks range;
    range.end = blocks;
    range.out = out.data();
    range.ld = ld;
    const auto once = [&] { return engine_.forward_blocks(sequence, ids, range, {}, cancel_); };
    MIAO_TRY(const double seconds, typical(once, how_.seconds));
    const double left_out = all_.products > 0 ? all_.ffn / all_.products : 0;
    return seconds / static_cast<double>(blocks) * (static_cast<double>(layers_) - left_out);
  }

  Engine& engine_;
  const Sum& all_;
  int64_t layers_;
  const ForecastCase& what_;
  const ForecastOptions& how_;
  const std::atomic<bool>* cancel_;
  double outside_ = 0;  // seconds of a step that no block takes
};

}  // namespace

double prefill_rate(const Forecast& forecast, const ForecastCase& what) {
  const auto tokens = static_cast<double>(what.users * what.prompt);
  return forecast.prefill_seconds > 0 ? tokens / forecast.prefill_seconds : 0;
}
double decode_rate(const Forecast& forecast, const ForecastCase& what) {
  return forecast.step_seconds > 0 ? static_cast<double>(what.users) / forecast.step_seconds : 0;
}

Result<Forecast> forecast(const io::Checkpoint& model, const runtime::EngineOptions& options, const ForecastCase& what,
                          const ForecastOptions& how) {
  runtime::EngineOptions own = options;
  own.packs.clear();
  own.weights = false;
  MIAO_TRY(io::Checkpoint described, model.hollow());
  MIAO_TRY(const auto whole, Engine::open(std::move(described), own));
  if (whole->spec().encoder) {
    return Error{Code::unsupported, "the speed of encoder-decoders is not forecast", model.path().string()};
  }
  const Sum all = sum_of(whole->kernels());
  const int64_t layers = whole->spec().layers;
  own.weights = true;
  own.blocks = blocks_to_run(all, layers, how.least_bytes);
  MIAO_TRY(io::Checkpoint sample, model.hollow());
  MIAO_TRY(const auto engine, Engine::open(std::move(sample), own));
  return Decoder(*engine, all, layers, what, how, options.cancel).run(options.chunk);
}

Result<Forecast> forecast(const io::Checkpoint& model, const runtime::EncoderOptions& options, const ForecastCase& what,
                          const ForecastOptions& how) {
  runtime::EncoderOptions own = options;
  own.packs.clear();
  own.weights = false;
  MIAO_TRY(io::Checkpoint described, model.hollow());
  MIAO_TRY(const auto whole, Encoder::open(std::move(described), own));
  const int64_t layers = whole->spec().layers;
  own.weights = true;
  own.blocks = blocks_to_run(sum_of(whole->kernels()), layers, how.least_bytes);
  MIAO_TRY(io::Checkpoint sample, model.hollow());
  MIAO_TRY(const auto encoder, Encoder::open(std::move(sample), own));
  const std::vector<int32_t> ids(static_cast<size_t>(std::min(what.prompt, encoder->ctx())));
  const std::vector<runtime::EncoderInput> inputs(static_cast<size_t>(what.users), {.ids = ids});
  const auto once = [&]() -> Result<void> {
    MIAO_CHECK_OK(encoder->run(inputs, options.cancel));
    return {};
  };
  Forecast out{.blocks = encoder->spec().layers};
  MIAO_TRY(const double seconds, typical(once, how.seconds));
  MIAO_TRY(const double share, share_of_blocks(*encoder, once));
  out.prefill_seconds = scaled(seconds, share, static_cast<double>(layers) / static_cast<double>(out.blocks));
  return out;
}

}  // namespace miao::measure
