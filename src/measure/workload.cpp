#include "measure/workload.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/table.h"
#include "measure/herd.h"

namespace miao::measure {

using runtime::Rng;

namespace {

// One pass to time and the place of its seconds.
struct Task {
  std::vector<int64_t> lengths;
  double* seconds;
};

template <class T>
void shuffle(std::vector<T>& items, Rng& rng) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

// Lengths that tau is fitted to: those that tell its terms apart, and more where inputs are likely. Beyond the
// outermost thousandths nothing is measured: a Poisson distribution has no end.
std::vector<int64_t> fit_lengths(const LengthDistribution& lengths, int64_t chunk) {
  int64_t low = lengths.quantile(0.001), high = lengths.quantile(0.999);
  if (low == high) low = std::max<int64_t>(1, high / 2), high = std::max<int64_t>(2, high);
  const std::vector<int64_t> telling = telling_lengths(low, high, chunk);
  std::set<int64_t> all(telling.begin(), telling.end());
  constexpr int kLikely = 8;
  for (int i = 0; i < kLikely; ++i) all.insert(lengths.quantile((i + 0.5) / kLikely));
  return {all.begin(), all.end()};
}

// One draw fewer than there are samples: means of as many would vary too little where samples are few (Rao and Wu,
// "Resampling inference with complex survey data", 1988).
double resampled_mean(std::span<const double> seconds, Rng& rng) {
  const size_t draws = std::max<size_t>(1, seconds.size() - 1);
  double sum = 0;
  for (size_t i = 0; i < draws; ++i) sum += seconds[rng.below(seconds.size())];
  return sum / static_cast<double>(draws);
}

// The mean of inputs in the order of their lengths: drawn again among neighbours only, as each slice of the
// distribution has its one input.
double resampled_strata(std::span<const double> seconds, Rng& rng) {
  constexpr size_t kNeighbours = 2;
  double sum = 0;
  for (size_t at = 0; at < seconds.size();) {
    const size_t left = seconds.size() - at, count = left < 2 * kNeighbours ? left : kNeighbours;
    sum += resampled_mean(seconds.subspan(at, count), rng) * static_cast<double>(count);
    at += count;
  }
  return sum / static_cast<double>(seconds.size());
}

// Relative deviations of all measurements from the means of their lengths, as wide as those from the true means. Of a
// few repetitions alone hardly any holds a rare interruption; of those of all lengths together some do.
std::vector<double> deviations(const std::vector<std::vector<double>>& seconds) {
  std::vector<double> out;
  for (const std::vector<double>& of_length : seconds) {
    const double average = mean(of_length), n = static_cast<double>(of_length.size());
    for (double s : of_length) out.push_back((s / average - 1) * (n > 1 ? std::sqrt(n / (n - 1)) : 0));
  }
  return out;
}

std::vector<LatencyPoint> points_of(std::span<const int64_t> lengths, const std::vector<std::vector<double>>& seconds) {
  std::vector<LatencyPoint> out;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const Spread s = spread(seconds[i]);
    out.push_back({lengths[i], mean(seconds[i]), s.min, s.max});
  }
  return out;
}

}  // namespace

const char* verdict(const LatencyReport& report) {
  return report.agrees() ? "no more than the noise of the measurements" : "more than the noise of the measurements";
}

Result<LatencyReport> measure_workload(const Workload& workload, int64_t chunk, const TimePass& time) {
  const LengthDistribution& lengths = workload.lengths;
  const auto batch = static_cast<size_t>(workload.batch);
  if (lengths.max() <= chunk) chunk = 0;
  Rng rng(workload.seed);
  const std::vector<int64_t> grid = fit_lengths(lengths, chunk);
  // Whole batches: a smaller last one would be a pass of another kind.
  const std::vector<int64_t> drawn = lengths.stratified(kernels::round_up(workload.samples, workload.batch), rng);
  // The fit has twice as many measurements as there are inputs at least: its error would hide that of the model.
  const size_t reps = std::max(static_cast<size_t>(workload.reps), (2 * drawn.size() + grid.size() - 1) / grid.size());
  std::vector<std::vector<double>> grid_seconds(grid.size(), std::vector<double>(reps));
  std::vector<double> seconds(drawn.size()), passes(batch > 1 ? drawn.size() / batch : 0);

  std::vector<Task> tasks;
  for (size_t i = 0; i < grid.size(); ++i) {
    for (double& s : grid_seconds[i]) tasks.push_back({{grid[i]}, &s});
  }
  for (size_t i = 0; i < drawn.size(); ++i) tasks.push_back({{drawn[i]}, &seconds[i]});
  std::vector<int64_t> mixed = drawn;
  shuffle(mixed, rng);
  for (size_t i = 0; i < passes.size(); ++i) {
    const auto begin = mixed.begin() + static_cast<std::ptrdiff_t>(i * batch);
    tasks.push_back({{begin, begin + static_cast<std::ptrdiff_t>(batch)}, &passes[i]});
  }
  shuffle(tasks, rng);
  const size_t warm_up = std::min(tasks.size(), grid.size());
  for (size_t i = 0; i < warm_up; ++i) MIAO_CHECK_OK(time(tasks[i].lengths));
  for (const Task& task : tasks) {
    MIAO_TRY(*task.seconds, time(task.lengths));
  }

  LatencyReport out{.lengths = lengths.name(), .mean_length = lengths.mean(), .batch = workload.batch};
  for (size_t i = 0; i < lengths.lengths().size(); ++i)
    out.distribution.emplace_back(lengths.lengths()[i], lengths.probabilities()[i]);
  for (size_t i = 0; i < drawn.size(); ++i) out.inputs.emplace_back(drawn[i], seconds[i]);
  out.points = points_of(grid, grid_seconds);
  MIAO_TRY(out.tau, fit_latency(out.points, chunk));
  out.error = fit_error(out.tau, out.points);
  out.predicted.value = lengths.expected(out.tau);
  out.measured.value = mean(seconds);
  out.difference.value = out.predicted.value / out.measured.value - 1;
  out.batch_seconds.value = passes.empty() ? out.measured.value : mean(passes);
  out.batch_inputs_per_second = static_cast<double>(batch) / out.batch_seconds.value;

  constexpr int kResamples = 1000;
  std::vector<double> predicted, measured, difference, batches;
  const std::vector<double> noise = deviations(grid_seconds);
  std::vector<LatencyPoint> points = out.points;
  for (int i = 0; i < kResamples; ++i) {
    for (size_t k = 0; k < points.size(); ++k) {
      double sum = 0;
      for (size_t rep = 0; rep < reps; ++rep) sum += noise[rng.below(noise.size())];
      points[k].seconds =
          out.points[k].seconds * std::max(0.1, 1 + sum / static_cast<double>(reps));  // times stay positive
    }
    MIAO_TRY(const LatencyModel tau, fit_latency(points, chunk));
    predicted.push_back(lengths.expected(tau));
    measured.push_back(resampled_strata(seconds, rng));
    difference.push_back(predicted.back() / measured.back() - 1);
    batches.push_back(passes.empty() ? measured.back() : resampled_mean(passes, rng));
  }
  out.predicted.ci = middle(predicted, 0.95);
  out.measured.ci = middle(measured, 0.95);
  out.difference.ci = middle(difference, 0.95);
  out.batch_seconds.ci = middle(batches, 0.95);
  return out;
}

Result<LatencyReport> bench_latency(runtime::Engine& engine, const Workload& workload, int64_t chunk) {
  MIAO_CHECK_OK(check_room(engine, workload.batch, std::max<int64_t>(2, workload.lengths.max())));
  Rng rng(workload.seed);
  Herd herd(engine, workload.batch, rng, workload.stop);
  MIAO_TRY(LatencyReport out, measure_workload(workload, chunk, [&](std::span<const int64_t> lengths) {
             auto seconds = herd.feed(lengths, runtime::Want::last);
             herd.truncate(0);
             return seconds;
           }));
  out.threads = engine.pool().threads();
  return out;
}

}  // namespace miao::measure
