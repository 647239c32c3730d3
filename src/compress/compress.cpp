#include "compress/compress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "base/fault.h"
#include "base/sha256.h"
#include "compress/measurements.h"
#include "compress/search/search.h"

namespace miao::compress {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kFirstDivergence = 0.02;  // nats: what is tried for metrics that say nothing of divergence
constexpr double kGptq = 0.62;             // a candidate's loss by the prediction, which knows neither GPTQ nor scaling
constexpr double kLeastLoss = 1e-9;        // that a prediction is taken for
constexpr double kSafety = 0.97;           // of a budget, where a candidate missed it
constexpr double kWorth = 0.02;            // gain of the goal for which another candidate is built

// How a loss grows with the divergence: what counts the choices that change grows with the size of a change, which is
// the root of its square.
double power_of(const std::string& metric) {
  for (const char* counted : {"top1", "flips", "overlap", "accuracy"}) {
    if (metric == counted) return 0.5;
  }
  return 1;
}

// A budget's margin as a divergence, before anything is known of how the two hang together.
double first_guess(const measure::Budget& budget, bool encoder) {
  if (budget.metric == "kld" || budget.metric == "cosine") return budget.margin;
  if (budget.metric == "overlap") return budget.margin * budget.margin / 4;
  if (budget.metric == "spearman" || encoder) return budget.metric.empty() ? budget.margin : budget.margin / 4;
  if (budget.metric == "ppl" || budget.metric.empty()) return std::log1p(budget.margin);
  return kFirstDivergence;
}

}  // namespace

Candidate Search::candidate_of(const Allocation& allocation) const {
  Candidate c{.name = {}, .types = {}};
  c.predicted = allocation.total;
  c.bound = allocation.bound;
  std::string text = report_.sha256 + "\n" + build_id() + "\n" + calibrated_on_ + "\n";
  for (size_t i = 0; i < report_.matrices.size(); ++i) {
    const MatrixLoss& m = report_.matrices[i];
    const DType type = m.types[allocation.choice[i]].type;
    c.types[m.tensor] = type;
    text += m.tensor + "=" + format(type).name + "\n";
  }
  if (!report_.kv.empty()) {
    c.kv = report_.kv[allocation.choice.back()].type;
    text += std::string("kv=") + kernels::kv_format(*c.kv).name + "\n";
  }
  c.key = sha256_hex(text + hash_of(sets_.items[kCalibration]));
  return c;
}

// Of the model as it is.
Costs Search::base_costs() const {
  Costs out = problem_.fixed;
  for (size_t i = 0; i < report_.matrices.size(); ++i) {
    for (size_t k = 0; k < kQuantities; ++k) out[k] += problem_.items[i][0][k];
  }
  return out;
}

CostLimits Search::limits() const {
  CostLimits out;
  const Budgets& b = report_.budgets;
  const auto least = [&](Quantity q, double limit) { out[q] = std::min(out[q].value_or(limit), limit); };
  for (size_t i = 0; i < b.losses.size(); ++i)
    least(kLoss, std::pow(b.losses[i].margin / ratio_[i], 1 / power_of(b.losses[i].metric)));
  const Costs base = base_costs();
  // What passed and what failed is known better than any prediction: the next lies between.
  if (passed_ > 0 && passed_ < failed_ && failed_ < kInfinity) {
    out[kLoss] = std::clamp(out[kLoss].value_or(failed_), passed_, std::sqrt(passed_ * failed_));
  } else if (failed_ < kInfinity) {
    least(kLoss, kSafety * failed_);
  }
  if (b.speed) least(kSeconds, base[kSeconds] / *b.speed / time_ratio_[kSeconds]);
  if (b.request) least(kSeconds, *b.request / time_ratio_[kSeconds]);
  if (b.first) least(kFirst, *b.first / time_ratio_[kFirst]);
  if (b.step) least(kStep, *b.step / time_ratio_[kStep]);
  if (b.size) least(kBytes, *b.size - bytes_over_);
  if (b.size_share) least(kBytes, *b.size_share * static_cast<double>(report_.base_bytes) - bytes_over_);
  if (b.memory) least(kMemory, *b.memory - memory_over_);
  return out;
}

// Corrects the predictions by what a candidate was measured to be.
void Search::learn_from(const Candidate& c) {
  for (size_t i = 0; i < o_.budgets.losses.size(); ++i) {
    const measure::Loss& loss = c.quality->verdicts[i].loss;
    const double bound = std::max(loss.feared(), 1e-6);
    const double by = std::pow(std::max(c.predicted[kLoss], kLeastLoss), power_of(report_.budgets.losses[i].metric));
    ratio_[i] = bound / by / (c.misses.empty() ? 1 : kSafety);
  }
  if (!o_.budgets.losses.empty()) {
    const auto keeps = [](const measure::Verdict& v) { return v.outcome == measure::Outcome::passes; };
    const bool passes = std::ranges::all_of(c.quality->verdicts, keeps);
    double& end = passes ? passed_ : failed_;
    end = passes ? std::max(end, c.predicted[kLoss]) : std::min(end, c.predicted[kLoss]);
  }
  bytes_over_ = static_cast<double>(c.bytes) - c.predicted[kBytes];
  memory_over_ = static_cast<double>(c.memory) - c.predicted[kMemory];
  const double own = c.speeds->own.request(report_.request);
  // What a budget of speed is about is the ratio, and its lower bound: a busy spell hits both.
  const Costs predicted = base_costs();
  const double scale = o_.budgets.speed ? predicted[kSeconds] / c.speeds->ratio_low : own;
  const double safety = c.misses.empty() ? 1 : kSafety;
  const auto ratio = [&](Quantity q, double is) {
    if (c.predicted[q] > 0) time_ratio_[q] = is / c.predicted[q] / safety;
  };
  ratio(kSeconds, scale);
  ratio(kFirst, c.speeds->own.first);
  ratio(kStep, c.speeds->own.step);
  say(fmt::format("{}: {} {:.4g} (predicted {:.4g}), {:.2f} times as fast (predicted {:.2f}), {:.1f} MB{}", c.name,
                  report_.wording.loss, c.quality->find(report_.wording.metric)->value, c.predicted[kLoss],
                  c.speeds->ratio, predicted[kSeconds] / c.predicted[kSeconds], static_cast<double>(c.bytes) / 1e6,
                  c.misses.empty() ? ": keeps all budgets" : ": " + c.misses[0]));
}

double Search::goal_of(const Candidate& c) const {
  return goal_ == kLoss ? c.quality->find(report_.wording.metric)->value : c.speeds->own.request(report_.request);
}

Result<void> Search::choose() {
  std::vector<Candidate>& all = report_.candidates;
  for (int i = 0; i < std::max(1, o_.tries); ++i) {
    if (i > 0 && !time_left(trial_seconds_)) {
      say("the time budget leaves no room for another candidate");
      break;
    }
    const Allocation next = solve(problem_, goal_, limits());
    Candidate c = candidate_of(next);
    if (std::ranges::any_of(all, [&](const Candidate& other) { return other.key == c.key; })) break;
    if (report_.chosen >= 0 && all[static_cast<size_t>(report_.chosen)].misses.empty()) {
      const Candidate& best = all[static_cast<size_t>(report_.chosen)];
      if (!next.feasible || c.predicted[goal_] > best.predicted[goal_] * (1 - kWorth)) break;
    }
    c.name = fmt::format("candidate {}", i + 1);
    MIAO_CHECK_OK(judge(c));
    learn_from(c);
    all.push_back(std::move(c));
    fault_point("compress.candidate");
    const auto now = all.size() - 1;
    const Candidate* best = report_.chosen < 0 ? nullptr : &all[static_cast<size_t>(report_.chosen)];
    const bool passes = all[now].misses.empty();
    const bool better = !best || (passes != best->misses.empty() ? passes
                                  : passes                       ? goal_of(all[now]) < goal_of(*best)
                                                                 : all[now].over < best->over);
    if (better) report_.chosen = static_cast<int>(now);
    if (!next.feasible) break;  // nothing nearer can be had
  }
  return {};
}

// The order is fixed by predictions, before anything is known of the final text. Candidates that are no better for the
// goal than one that loses less stay out.
Result<void> Search::confirm() {
  std::vector<Candidate>& all = report_.candidates;
  std::vector<size_t> order;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].misses.empty()) order.push_back(i);
  }
  if (order.empty()) order = {static_cast<size_t>(report_.chosen)};
  std::ranges::stable_sort(order, {}, [&](size_t i) { return all[i].predicted[kLoss]; });
  double best = kInfinity;
  for (const size_t i : order) {
    if (goal_of(all[i]) >= best) continue;
    MIAO_TRY(all[i].final_quality, quality_of(all[i], kFinal));
    Candidate last = all[i];
    last.quality = all[i].final_quality;
    find_misses(last);
    const bool passes = last.misses.empty();
    if (passes || best == kInfinity) {
      report_.chosen = static_cast<int>(i);
      report_.final_quality = all[i].final_quality;
      report_.misses = all[i].misses;
      for (std::string& miss : last.misses) {
        if (std::ranges::find(report_.misses, miss) == report_.misses.end()) report_.misses.push_back(std::move(miss));
      }
    }
    if (!passes) break;
    best = goal_of(all[i]);
  }
  report_.kept = report_.misses.empty();
  return {};
}

Result<CompressReport> Search::run() {
  start_ = now_seconds();
  report_.model = model_.string();
  report_.text_name = o_.text_name;
  report_.budgets = o_.budgets;
  report_.level = o_.level;
  goal_ = o_.budgets.losses.empty() ? kLoss : kSeconds;
  MIAO_CHECK_OK(open());
  for (measure::Budget& b : report_.budgets.losses) {
    if (b.metric.empty()) b.metric = report_.wording.first;
    const double guess = first_guess(b, report_.wording.encoder);
    ratio_.push_back(b.margin > 0 ? b.margin / std::pow(guess / kGptq, power_of(b.metric)) : kGptq);
  }
  MIAO_CHECK_OK(cut_texts());
  MIAO_CHECK_OK(check_figures());
  calibrated_on_ = fmt::format(
      "{}, {} {}s of {} tokens", sets_.calibration_text.empty() ? "the model's own text" : "calibration.txt",
      report_.sets[kCalibration].windows, report_.wording.item, report_.sets[kCalibration].tokens);
  report_.threads = base_->pool().threads();
  report_.base_memory = task_->memory(*base_);
  MIAO_CHECK_OK(learn());
  MIAO_CHECK_OK(compare());
  say(fmt::format("losses of single matrices add up: Spearman {:.3f}, measured {:.2f} of predicted",
                  report_.additivity.spearman, report_.additivity.slope));
  MIAO_CHECK_OK(choose());
  MIAO_CHECK_OK(confirm());
  const Candidate& chosen = report_.candidates[static_cast<size_t>(report_.chosen)];
  MIAO_CHECK_OK(find_latency(chosen));
  MIAO_CHECK_OK(write_result(chosen));
  report_.seconds = now_seconds() - start_;
  return std::move(report_);
}

Result<CompressReport> compress(const std::filesystem::path& model, const std::filesystem::path& out,
                                const CompressOptions& options) {
  Search search(model, out, options);
  auto report = search.run();
  // The user's own name of a model that was copied, or opened by another.
  if (!report.ok() && report.error().where.starts_with("/proc/self/fd/")) report.error().where = model.string();
  return report;
}

}  // namespace miao::compress
