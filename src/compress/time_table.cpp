#include "compress/time_table.h"

#include <algorithm>
#include <deque>
#include <numeric>

#include "base/check.h"
#include "compress/search/rendered.h"
#include "io/checkpoint.h"
#include "measure/encode_bench.h"
#include "measure/herd.h"
#include "measure/stats.h"

namespace miao::compress {

namespace {

using runtime::Blockwise;

constexpr int64_t kSteps = 24;  // of decoding, a round

class Table {
 public:
  Table(Blockwise& model, const Clock& clock, std::span<const DType> types, const TimeOptions& options)
      : model_(model), clock_(clock), types_(types), options_(options) {
    for (const Blockwise::Product& product : model.products()) {
      double& weights = weights_[std::string(product.kind)];
      for (const Blockwise::Reader& reader : product.tensors) {
        const TensorView& t = *model.checkpoint().find(reader.tensor);
        // Tensors that several products share (experts, fused projections) are counted once.
        if (!out_.tensors.emplace(t.name, std::pair(std::string(product.kind), 0.0)).second) continue;
        out_.tensors[t.name].second = static_cast<double>(t.elements());
        weights += static_cast<double>(t.elements());
      }
    }
    for (const auto& [kind, weights] : weights_) out_.kinds.push_back({kind, weights, {}});
  }

  Result<TimeTable> run() {
    if (options_.progress) options_.progress("timing as it is", 0, total());
    MIAO_CHECK_OK(measure(DType::f32, true));
    for (size_t i = 0; i < types_.size(); ++i) {
      if (options_.progress) {
        options_.progress(std::string("timing ") + format(types_[i]).name, static_cast<int64_t>(i) + 1, total());
      }
      MIAO_CHECK_OK(one_type(types_[i]));
    }
    // The rest was seen with every type.
    out_.rest = {median(rest_first_), median(rest_step_)};
    return TimeTable(std::move(out_));
  }

 private:
  int64_t total() const { return static_cast<int64_t>(types_.size()) + 1; }
  static double median(std::vector<double> v) { return v.empty() ? 0 : measure::median(std::move(v)); }

  // Whether all matrices of a kind can have the type.
  bool fits(const std::string& kind, DType type) const {
    return std::ranges::all_of(out_.tensors, [&](const auto& t) {
      return t.second.first != kind || model_.checkpoint().find(t.first)->cols() % format(type).block == 0;
    });
  }

  Result<void> one_type(DType type) {
    std::deque<Rendered> made;
    std::vector<TensorView> views;
    for (const auto& [name, of] : out_.tensors) {
      const TensorView& source = *model_.checkpoint().find(name);
      if (source.dtype == type || !fits(of.first, type)) continue;
      MIAO_TRY(Rendered one, stand_in(model_, source, type));
      made.push_back(std::move(one));
      views.push_back(made.back().view);
    }
    if (views.empty()) return {};
    Replaced replaced(model_);
    MIAO_CHECK_OK(replaced.put(views));
    MIAO_CHECK_OK(measure(type, false));
    return replaced.restore();
  }

  // Medians over rounds; kinds whose matrices are all in `type` now, or are as the model has them.
  Result<void> measure(DType type, bool own) {
    std::map<std::string, double> first, step;
    for (const Phase phase : {Phase::first, Phase::step}) {
      if (!(phase == Phase::first ? clock_.reads : clock_.writes)) continue;
      MIAO_TRY(const Timing plain, clock_.run(phase, 1, options_.rounds, false));
      MIAO_TRY(const Timing seen, clock_.run(phase, 1, options_.rounds, true));
      const double rest = split(median(plain.seconds), seen, phase == Phase::first ? first : step);
      (phase == Phase::first ? rest_first_ : rest_step_).push_back(rest);
    }
    for (TimeTable::Kind& kind : out_.kinds) {
      if (!own && !fits(kind.name, type)) continue;
      const Times times{first[kind.name], step[kind.name]};
      if (!own) {
        kind.types[type] = times;
        continue;
      }
      for (const auto& [name, of] : out_.tensors) {
        if (of.first == kind.name) kind.types[model_.checkpoint().find(name)->dtype] = times;
      }
    }
    return {};
  }

  // Adds each kind of product's share of `total`, which was taken without the profile that says the shares: to look at
  // the clock behind each step takes time too. Returns what is left.
  double split(double total, const Timing& seen, std::map<std::string, double>& kinds) const {
    double rest = total;
    for (const auto& [kind, seconds] : seen.profile) {
      if (!weights_.contains(kind)) continue;
      kinds[kind] += total * seconds / seen.profiled;
      rest -= total * seconds / seen.profiled;
    }
    return rest;
  }

  Blockwise& model_;
  const Clock& clock_;
  std::span<const DType> types_;
  const TimeOptions& options_;
  std::map<std::string, double> weights_;  // of each kind
  TimeTable::Data out_;
  std::vector<double> rest_first_, rest_step_;
};

}  // namespace

TimeTable::TimeTable(Data data) : rest_(data.rest), kinds_(std::move(data.kinds)), tensors_(std::move(data.tensors)) {}

const TimeTable::Kind* TimeTable::kind(std::string_view tensor) const {
  const auto at = tensors_.find(tensor);
  if (at == tensors_.end()) return nullptr;
  const auto found = std::ranges::find(kinds_, at->second.first, &Kind::name);
  return found == kinds_.end() ? nullptr : &*found;
}

bool TimeTable::knows(std::string_view tensor, DType type) const {
  const Kind* const k = kind(tensor);
  return !k || k->types.contains(type);  // what no product reads takes no time
}

Times TimeTable::of(std::string_view tensor, DType type) const {
  const Kind* const k = kind(tensor);
  if (!k) return {};
  const auto at = k->types.find(type);
  MIAO_CHECK(at != k->types.end());
  const double share = tensors_.find(tensor)->second.second / k->weights;
  return {at->second.first * share, at->second.step * share};
}

Result<Times> Clock::once(uint64_t seed) const {
  Times out;
  if (reads) {
    MIAO_TRY(const Timing t, run(Phase::first, seed, 1, false));
    out.first = t.seconds[0];
  }
  if (writes) {
    MIAO_TRY(const Timing t, run(Phase::step, seed, 1, false));
    out.step = t.seconds[0];
  }
  return out;
}

Clock clock_of(runtime::Engine& engine, const Request& request, const std::atomic<bool>* cancel) {
  const int64_t steps = std::min(kSteps, request.gen);
  const auto run = [&engine, request, steps, cancel](Phase phase, uint64_t seed, int times,
                                                     bool profile) -> Result<Timing> {
    const measure::BenchOptions bench{.reps = times, .seed = seed, .profile = profile, .stop = cancel};
    const bool step = phase == Phase::step;
    MIAO_TRY(measure::BenchRow row, measure::bench(engine, step ? request.decode(steps) : request.prefill(), bench));
    Timing out{.seconds = std::move(step ? row.decode_seconds : row.prefill_seconds),
               .profile = std::move(step ? row.decode_profile : row.prefill_profile)};
    out.profiled = std::accumulate(out.seconds.begin(), out.seconds.end(), 0.0);
    if (step) {
      for (double& s : out.seconds) s /= static_cast<double>(steps);
    }
    return out;
  };
  return {.reads = request.prompt > 0, .writes = steps > 0, .run = run};
}

Clock clock_of(runtime::Encoder& encoder, const Request& request, const std::atomic<bool>* cancel) {
  const auto run = [&encoder, request, cancel](Phase, uint64_t seed, int times, bool profile) -> Result<Timing> {
    runtime::Rng rng(seed);
    std::vector<std::vector<int32_t>> ids;
    for (const int64_t n : request.lengths) ids.push_back(measure::random_tokens(rng, n, encoder.spec().vocab));
    const measure::BenchOptions bench{.reps = times, .seed = seed, .profile = profile, .stop = cancel};
    MIAO_TRY(measure::EncodeRow row, measure::bench_ids(encoder, ids, request.batch, bench));
    Timing out{.seconds = std::move(row.seconds), .profile = std::move(row.profile)};
    out.profiled = std::accumulate(out.seconds.begin(), out.seconds.end(), 0.0);
    for (double& s : out.seconds) s *= static_cast<double>(times) / static_cast<double>(row.pass_seconds.size());
    return out;
  };
  return {.reads = true, .writes = false, .run = run};
}

Result<TimeTable> measure_times(Blockwise& model, const Clock& clock, std::span<const DType> types,
                                const TimeOptions& options) {
  return Table(model, clock, types, options).run();
}

}  // namespace miao::compress
