#include "compress/time_table.h"

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "compress/search/rendered.h"
#include "io/checkpoint.h"
#include "measure/stats.h"

namespace miao::compress {

namespace {

using runtime::Engine;

constexpr int64_t kSteps = 16;  // of decoding, a round

class Timing {
 public:
  Timing(Engine& engine, const Request& request, std::span<const DType> types, const TimeOptions& options)
      : engine_(engine), request_(request), types_(types), options_(options) {
    for (const Engine::Product& product : engine.products()) {
      double& weights = weights_[std::string(product.kind)];
      for (const Engine::Reader& reader : product.tensors) {
        const TensorView& t = *engine.checkpoint().find(reader.tensor);
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
  static double median(std::vector<double> v) { return measure::median(std::move(v)); }

  // Whether all matrices of a kind can have the type.
  bool fits(const std::string& kind, DType type) const {
    return std::ranges::all_of(out_.tensors, [&](const auto& t) {
      return t.second.first != kind || engine_.checkpoint().find(t.first)->cols() % format(type).block == 0;
    });
  }

  Result<void> one_type(DType type) {
    std::deque<Rendered> made;
    std::vector<TensorView> views;
    for (const auto& [name, of] : out_.tensors) {
      const TensorView& source = *engine_.checkpoint().find(name);
      if (source.dtype == type || !fits(of.first, type)) continue;
      const RoundOptions quick{.otherwise = Rounding::nearest, .cancel = options_.cancel};
      MIAO_TRY(Rendered one, render(engine_, source, type, quick));
      made.push_back(std::move(one));
      views.push_back(made.back().view);
    }
    if (views.empty()) return {};
    Replaced replaced(engine_);
    MIAO_CHECK_OK(replaced.put(views));
    MIAO_CHECK_OK(measure(type, false));
    return replaced.restore();
  }

  // Medians over rounds; kinds whose matrices are all in `type` now, or are as the model has them.
  Result<void> measure(DType type, bool own) {
    std::map<std::string, std::vector<double>> first, step;
    std::vector<double> other_first, other_step;
    for (int round = 0; round < options_.rounds; ++round) {
      measure::BenchOptions bench{.reps = 1, .seed = static_cast<uint64_t>(round), .stop = options_.cancel};
      const int64_t steps = std::min(request_.gen, kSteps);
      for (const bool decode : {false, true}) {
        if ((decode ? steps : request_.prompt) == 0) continue;
        const measure::BenchCase what = decode ? request_.decode(steps) : request_.prefill();
        bench.profile = false;
        MIAO_TRY(const measure::BenchRow plain, measure::bench(engine_, what, bench));
        bench.profile = true;
        MIAO_TRY(const measure::BenchRow row, measure::bench(engine_, what, bench));
        const double total = decode ? plain.decode_seconds[0] / static_cast<double>(steps) : plain.prefill_seconds[0];
        (decode ? other_step : other_first)
            .push_back(split(total, decode ? row.decode_profile : row.prefill_profile,
                             decode ? row.decode_seconds[0] : row.prefill_seconds[0], decode ? step : first));
      }
    }
    if (!other_first.empty()) rest_first_.push_back(median(other_first));
    if (!other_step.empty()) rest_step_.push_back(median(other_step));
    for (TimeTable::Kind& kind : out_.kinds) {
      if (!own && !fits(kind.name, type)) continue;
      const Times times{first.contains(kind.name) ? median(first[kind.name]) : 0,
                        step.contains(kind.name) ? median(step[kind.name]) : 0};
      if (!own) {
        kind.types[type] = times;
        continue;
      }
      for (const auto& [name, of] : out_.tensors) {
        if (of.first == kind.name) kind.types[engine_.checkpoint().find(name)->dtype] = times;
      }
    }
    return {};
  }

  // Adds each kind of product's share of `total`, which was taken without the profile that says the shares: to look at
  // the clock behind each step takes time too. Returns what is left. `profiled`: seconds of all that the profile saw.
  double split(double total, const std::vector<std::pair<std::string, double>>& profile, double profiled,
               std::map<std::string, std::vector<double>>& kinds) const {
    double rest = total;
    for (const auto& [kind, seconds] : profile) {
      if (!weights_.contains(kind)) continue;
      kinds[kind].push_back(total * seconds / profiled);
      rest -= total * seconds / profiled;
    }
    return rest;
  }

  Engine& engine_;
  const Request& request_;
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

Result<TimeTable> measure_times(Engine& engine, const Request& request, std::span<const DType> types,
                                const TimeOptions& options) {
  return Timing(engine, request, types, options).run();
}

}  // namespace miao::compress
