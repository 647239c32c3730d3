// Candidates: built, and measured as a user would meet them.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "base/file.h"
#include "compress/quantize.h"
#include "compress/search/search.h"
#include "io/checkpoint.h"
#include "measure/bootstrap.h"

namespace miao::compress {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kRounds = 9;

// The type that most weights are in.
DType most_of(const std::vector<MatrixLoss>& matrices, const TypesByName& types) {
  std::map<DType, int64_t> weights;
  for (const MatrixLoss& m : matrices) {
    int64_t n = 1;
    for (const int64_t d : m.shape) n *= d;
    weights[types.at(m.tensor)] += n;
  }
  return std::ranges::max_element(weights, {}, [](const auto& w) { return w.second; })->first;
}

std::string types_text(const TypesByName& types) {
  std::string out;
  for (const auto& [name, type] : types) out += name + "=" + format(type).name + "\n";
  return out;
}

}  // namespace

Result<std::filesystem::path> Search::build(const Candidate& candidate) {
  const auto file = work_folder() / (candidate.key.substr(0, 16) + ".gguf");
  std::error_code error;
  if (std::filesystem::exists(file, error)) return file;  // it got its name when it was whole
  QuantizeOptions options{.recipe = recipe_of(most_of(report_.matrices, candidate.types)),
                          .importance = &importance_,
                          .calibration = sets_.items[kCalibration],
                          .scale = true,
                          .kv = candidate.kv,
                          .writer = o_.writer,
                          .calibrated_on = calibrated_on_,
                          .threads = o_.threads,
                          .progress = {},
                          .cancel = o_.cancel};
  options.choice.importance = options.choice.pure = true;
  for (const auto& [name, type] : candidate.types) options.choice.overrides.push_back({name, type, true});
  options.progress = [&](std::string_view what, uint64_t done, uint64_t total) {
    const bool canary = what == "canary";
    progress(candidate.name + (canary ? ": canary" : ": rounding"), static_cast<int64_t>(done),
             static_cast<int64_t>(total));
  };
  MIAO_TRY(const io::Checkpoint source, io::Checkpoint::open(copy_->path()));
  MIAO_CHECK_OK(quantize(source, file, options));
  return file;
}

Result<measure::Quality> Search::quality_of(const Candidate& candidate, Set set) {
  const Json key{
      {"what", "quality"}, {"candidate", candidate.key}, {"items", hash_of(sets_.items[set])}, {"data", sets_.data}};
  MIAO_TRY(const Json json, kept(key, [&]() -> Result<Json> {
             MIAO_TRY(const auto file, build(candidate));
             MIAO_TRY(const auto model, task_->open(file));
             const measure::QualityRun run{.stop = o_.cancel, .progress = [&](int64_t n, int64_t total) {
                                             progress(candidate.name + ": loss, " + kSetNames[set] + " text", n, total);
                                           }};
             return task_->measure(*model, judging(), set, run);
           }));
  MIAO_TRY(measure::Quality out, task_->quality(json));
  MIAO_CHECK_OK(add_figures(candidate, set, out));
  MIAO_CHECK_OK(measure::judge(out, report_.budgets.losses));
  return out;
}

Result<Speeds> Search::speeds_of(Task::Model& model) {
  struct Side {
    Clock clock;
    std::vector<double> first, step, request;
  };
  std::array<Side, 2> sides{Side{task_->clock(*base_), {}, {}, {}}, Side{task_->clock(model), {}, {}, {}}};
  for (int round = 0; round < kRounds; ++round) {
    progress("timing", round, kRounds);
    for (size_t i = 0; i < sides.size(); ++i) {
      Side& side = sides[(static_cast<size_t>(round) + i) % 2];
      MIAO_TRY(const Times t, side.clock.once(static_cast<uint64_t>(round)));
      side.first.push_back(t.first);
      side.step.push_back(t.step);
      side.request.push_back(t.request(report_.request));
    }
  }
  Speeds out{.base = {measure::median(sides[0].first), measure::median(sides[0].step)},
             .own = {measure::median(sides[1].first), measure::median(sides[1].step)},
             .base_request = sides[0].request,
             .request = sides[1].request};
  std::vector<double> ratios;
  for (int i = 0; i < kRounds; ++i)
    ratios.push_back(out.base_request[static_cast<size_t>(i)] / out.request[static_cast<size_t>(i)]);
  out.ratio = measure::median(ratios);
  const measure::Bootstrap boot(ratios.size(),
                                [&](std::span<const uint32_t> weights) {
                                  std::vector<double> drawn;
                                  for (size_t i = 0; i < ratios.size(); ++i)
                                    drawn.insert(drawn.end(), weights[i], ratios[i]);
                                  return drawn.empty() ? 0 : measure::median(drawn);
                                },
                                {.percentile = true});
  out.ratio_low = boot.bound(1 - o_.level);
  return out;
}

void Search::find_misses(Candidate& c) const {
  c.misses.clear();
  c.over = 0;
  for (const measure::Verdict& v : c.quality->verdicts) {
    if (v.outcome == measure::Outcome::passes) continue;
    c.over = std::max(c.over, v.loss.feared() / std::max(v.budget.margin, 1e-9) - 1);
    c.misses.push_back(
        fmt::format("{} is {:.4g}, {}", v.budget.text(), v.loss.value,
                    v.loss.lone    ? std::string("as it was printed; no bound")
                    : v.loss.upper ? fmt::format("with {:g} % confidence below {:.4g}", 100 * o_.level, *v.loss.upper)
                                   : std::string("without a bound")));
  }
  const Budgets& b = o_.budgets;
  const auto at_most = [&](const char* what, std::optional<double> limit, double is, double unit, const char* name) {
    if (!limit || is <= *limit) return;
    c.over = std::max(c.over, is / *limit - 1);
    c.misses.push_back(fmt::format("{} is {:.4g} {}, the budget {:.4g}", what, is / unit, name, *limit / unit));
  };
  std::optional<double> size = b.size;
  if (b.size_share) size = std::min(size.value_or(kInfinity), *b.size_share * static_cast<double>(report_.base_bytes));
  at_most("the file", size, static_cast<double>(c.bytes), 1e6, "MB");
  at_most("memory", b.memory, static_cast<double>(c.memory), 1e6, "MB");
  if (!c.speeds) return;
  if (b.speed && c.speeds->ratio_low < *b.speed) {
    c.over = std::max(c.over, *b.speed / c.speeds->ratio_low - 1);
    c.misses.push_back(
        fmt::format("it is {:.2f} times as fast, with {:g} % confidence above {:.2f}; the budget is {:g}",
                    c.speeds->ratio, 100 * o_.level, c.speeds->ratio_low, *b.speed));
  }
  at_most("the first token", b.first, c.speeds->own.first, 1e-3, "ms");
  at_most("a token", b.step, c.speeds->own.step, 1e-3, "ms");
  at_most("a request", b.request, c.speeds->own.request(report_.request), 1e-3, "ms");
}

Result<void> Search::judge(Candidate& c) {
  const double start = now_seconds();
  MIAO_TRY(c.quality, quality_of(c, kVerify));
  MIAO_TRY(const auto file, build(c));
  std::error_code error;
  c.bytes = std::filesystem::file_size(file, error);
  MIAO_TRY(const auto model, task_->open(file));
  c.memory = task_->memory(*model);
  MIAO_TRY(c.speeds, speeds_of(*model));
  find_misses(c);
  trial_seconds_ = now_seconds() - start;
  return {};
}

// Few repetitions: figures to look at, which no budget is about.
Result<void> Search::find_latency(const Candidate& c) {
  const Request& r = report_.request;
  std::optional<measure::LengthDistribution> lengths = o_.lengths;
  if (!lengths) {
    const int64_t longest = r.lengths.empty() ? r.prompt : std::ranges::max(r.lengths);
    if (longest < 2) return {};
    MIAO_TRY(lengths, measure::LengthDistribution::parse(fmt::format("uniform:1:{}", longest), longest));
  }
  const measure::Workload workload{.lengths = *lengths, .samples = 10, .reps = 2, .seed = o_.seed, .stop = o_.cancel};
  MIAO_TRY(const auto file, build(c));
  MIAO_TRY(const auto model, task_->open(file));
  for (Task::Model* const side : {base_.get(), model.get()}) {
    progress("timing lengths of inputs", static_cast<int64_t>(report_.latency.size()), 2);
    MIAO_TRY(measure::LatencyReport latency, task_->latency(*side, workload));
    report_.latency.push_back(std::move(latency));
  }
  return {};
}

Result<void> Search::write_result(const Candidate& c) {
  MIAO_TRY(const auto file, build(c));
  report_.file = out_ / (report_.kept ? "model.gguf" : "nearest.gguf");
  report_.main_type = recipe_of(most_of(report_.matrices, c.types)).name();
  std::error_code error;
  std::filesystem::remove(out_ / (report_.kept ? "nearest.gguf" : "model.gguf"), error);
  std::filesystem::rename(file, report_.file, error);
  if (error) return Error{Code::io, "cannot be renamed: " + error.message(), file.string()};
  MIAO_CHECK_OK(write_file_atomic(out_ / "types.txt", types_text(c.types)));
  if (!sets_.calibration_text.empty())
    MIAO_CHECK_OK(write_file_atomic(out_ / "calibration.txt", sets_.calibration_text));
  copy_.reset();
  std::filesystem::remove_all(work_folder(), error);
  return {};
}

}  // namespace miao::compress
