// What the predictions of a search are held against: random mixes near the budget (do losses of single matrices add
// up?), mixes of the same time that a wrong ranking would give, and what others would take.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "compress/measurements.h"
#include "compress/quantize.h"
#include "compress/recipe.h"
#include "compress/search/search.h"
#include "io/checkpoint.h"
#include "measure/ranks.h"

namespace miao::compress {

namespace {

constexpr int kRandom = 12;

double mean(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

}  // namespace

// Allocations that would be best if losses were other than they are: each matrix's times a random factor. Their true
// predicted losses spread around the target.
std::vector<Reference> Search::random_mixes(double target, uint64_t seed) const {
  std::mt19937_64 random(seed);
  const Problem own = of_matrices();
  std::vector<Reference> out;
  for (int i = 0; i < kRandom; ++i) {
    Problem other = own;
    for (auto& options : other.items) {
      // normal_distribution is not the same everywhere: a sum of uniform ones is.
      double factor = -3;
      for (int k = 0; k < 6; ++k) factor += static_cast<double>(random() >> 11) * 0x1p-53;
      for (Costs& c : options) c[kLoss] *= std::exp(2 * factor);
    }
    const double aim = target * std::exp2(-1.0 + 2.0 * i / (kRandom - 1));
    double low = 0, high = 100 * target;  // of the false loss, so that the true one is near the aim
    Allocation found;
    for (int step = 0; step < 25; ++step) {
      CostLimits limits;
      limits[kLoss] = (low + high) / 2;
      found = solve(other, goal_ == kLoss ? kBytes : goal_, limits);
      (total(own, found.choice)[kLoss] < aim ? low : high) = *limits[kLoss];
    }
    found.total = total(own, found.choice);
    const Candidate c = candidate_of(found);
    out.push_back({"random", c.types, c.predicted, 0});
  }
  return out;
}

// The same time (or bytes) as the first choice, spent by a ranking of matrices that is random, or upside down.
void Search::add_controls(std::vector<Reference>& out) const {
  CostLimits limits = this->limits();
  const Quantity scarce = goal_ == kLoss ? (limits[kSeconds] ? kSeconds : kBytes) : goal_;
  const Problem own = of_matrices();
  const Allocation first = solve(own, goal_, limits);
  // Loss at the coarsest type for each weight: what a ranking ranks.
  const size_t n = report_.matrices.size();
  std::vector<double> level(n);
  for (size_t i = 0; i < n; ++i) {
    double loss = 0, bytes = 0;
    for (const Costs& c : own.items[i]) {
      loss = std::max(loss, c[kLoss]);
      bytes = std::max(bytes, c[kBytes]);
    }
    level[i] = bytes > 0 ? loss / bytes : 0;
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return level[i]; });
  std::mt19937_64 random(o_.seed);
  for (const bool inverted : {true, false}) {
    std::vector<size_t> from(order.rbegin(), order.rend());
    if (!inverted) {
      for (size_t i = n; i > 1; --i) std::swap(from[i - 1], from[random() % i]);
    }
    Problem other = own;
    for (size_t rank = 0; rank < n; ++rank) {
      const size_t i = order[rank];
      for (Costs& c : other.items[i]) c[kLoss] *= level[i] > 0 ? level[from[rank]] / level[i] : 0;
    }
    CostLimits same;
    same[scarce] = first.total[scarce];
    const Candidate c = candidate_of(solve(other, kLoss, same));
    out.push_back({inverted ? "inverted ranking" : "random ranking", c.types, c.predicted, 0});
  }
  const Candidate chosen = candidate_of(first);
  out.push_back({"first choice", chosen.types, chosen.predicted, 0});
}

void Search::add_usual(std::vector<Reference>& out) const {
  const auto anatomy = anatomy_of(base_->checkpoint());
  const auto subjects = subjects_of(base_->checkpoint());
  if (!anatomy.ok() || !subjects.ok()) return;
  for (const char* name : {"Q8_0", "Q6_K", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_K_S", "IQ4_XS", "Q4_0"}) {
    const auto recipe = Recipe::named(name);
    if (!recipe.ok()) continue;
    const std::vector<Choice> choices = recipe->choose(*subjects, *anatomy, {.importance = true, .overrides = {}});
    Reference r{.name = name, .types = {}};
    r.predicted = problem_.fixed;
    bool known = true;
    for (size_t i = 0; i < subjects->size(); ++i) {
      const auto m = std::ranges::find(report_.matrices, (*subjects)[i].name, &MatrixLoss::tensor);
      if (m == report_.matrices.end()) continue;
      const auto item = static_cast<size_t>(m - report_.matrices.begin());
      const auto type = std::ranges::find(m->types, choices[i].dtype, &TypeLoss::type);
      known = known && type != m->types.end();
      if (!known) break;
      r.types[m->tensor] = choices[i].dtype;
      const Costs& c = problem_.items[item][static_cast<size_t>(type - m->types.begin())];
      for (size_t k = 0; k < kQuantities; ++k) r.predicted[k] += c[k];
    }
    if (known) out.push_back(std::move(r));
  }
}

Result<void> Search::compare() {
  const Allocation first = solve(of_matrices(), goal_, limits());
  std::vector<Reference> all =
      random_mixes(std::max(first.total[kLoss], report_.wording.encoder ? 1e-6 : 1e-4), o_.seed);
  add_controls(all);
  add_usual(all);
  std::vector<TypesByName> types;
  Json names = Json::array();
  for (const Reference& r : all) {
    types.push_back(r.types);
    for (const auto& [name, type] : r.types) names.push_back(format(type).name);
  }
  const LossOptions options{.progress = [&](int64_t n, int64_t total) { progress("checking additivity", n, total); },
                            .cancel = o_.cancel};
  MIAO_TRY(const Json json, kept({{"what", "references"},
                                  {"types", names},
                                  {"calibration", hash_of(sets_.items[kCalibration])},
                                  {"windows", hash_of(sets_.items[kSearch])}},
                                 [&]() -> Result<Json> {
                                   MIAO_TRY(const auto losses, measure_losses(judging(), sets_.items[kSearch],
                                                                              importance_, types, options));
                                   return Json(losses);
                                 }));
  const auto losses = json.get<std::vector<std::vector<double>>>();
  double xy = 0, xx = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].loss = mean(losses[i]);
    if (i < kRandom) {
      report_.additivity.predicted.push_back(all[i].predicted[kLoss]);
      report_.additivity.measured.push_back(all[i].loss);
      xy += all[i].predicted[kLoss] * all[i].loss;
      xx += all[i].predicted[kLoss] * all[i].predicted[kLoss];
    } else {
      report_.references.push_back(std::move(all[i]));
    }
  }
  const std::vector<uint32_t> once(kRandom, 1);
  report_.additivity.spearman = measure::spearman(measure::WeightedRanks(report_.additivity.predicted),
                                                  measure::WeightedRanks(report_.additivity.measured), once);
  report_.additivity.slope = xx > 0 ? xy / xx : 0;
  return {};
}

}  // namespace miao::compress
