// See quality.h: the figures of a text. Chunks are resampled; tokens of one chunk are not independent.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "measure/intervals.h"
#include "measure/quality.h"
#include "measure/quality/summary.h"

namespace miao::measure {

namespace {

// Values of tokens, (chunks, scored).
class Chunks {
 public:
  explicit Chunks(const TextRecords& r) : r_(r), ones_(static_cast<size_t>(r.chunks), 1.0) {}

  template <class F>
  std::vector<double> means(F value) const {
    std::vector<double> out(ones_.size());
    for (size_t c = 0; c < out.size(); ++c) {
      double sum = 0;
      for (size_t i = c * scored(); i < (c + 1) * scored(); ++i) sum += value(i);
      out[c] = sum / static_cast<double>(r_.scored);
    }
    return out;
  }
  template <class F>
  Share share(F hit) const {
    std::vector<int64_t> hits(ones_.size(), 0);
    for (size_t c = 0; c < hits.size(); ++c) {
      for (size_t i = c * scored(); i < (c + 1) * scored(); ++i) hits[c] += hit(i) ? 1 : 0;
    }
    return clustered_share(hits, std::vector<int64_t>(hits.size(), r_.scored));
  }
  Bootstrap::Statistic mean(const std::vector<double>& of_chunks) const { return weighted_mean(of_chunks, ones_); }

 private:
  size_t scored() const { return static_cast<size_t>(r_.scored); }
  const TextRecords& r_;
  std::vector<double> ones_;
};

// Quantiles of all tokens of weighted chunks, by a walk from the largest down: high ones are near.
class Ranks {
 public:
  explicit Ranks(const TextRecords& r) : values_(r.kl), scored_(static_cast<size_t>(r.scored)), order_(r.kl.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::ranges::stable_sort(order_, std::greater<>{}, [&](size_t i) { return values_[i]; });
  }
  Bootstrap::Statistic quantile(double q) const {
    return [this, q](std::span<const uint32_t> weights) {
      double count = 0;
      for (const uint32_t w : weights) count += static_cast<double>(w) * static_cast<double>(scored_);
      const double place = (1 - q) * (count - 1), whole = std::floor(place);
      double seen = 0, above = 0;
      bool found = false;
      for (const size_t i : order_) {
        seen += weights[i / scored_];
        const double value = double{values_[i]};
        if (!found && seen > whole) above = value, found = true;
        if (seen > whole + 1) return above + (value - above) * (place - whole);
      }
      return above;
    };
  }

 private:
  std::span<const float> values_;
  size_t scored_;
  std::vector<size_t> order_;
};

Metric share_metric(const Quality& q, std::string key, std::string label, const Share& share) {
  return {std::move(key), std::move(label), share.value, share.interval(q.level), Metric::Form::percent};
}
Loss share_loss(const Quality& q, std::string metric, const Share& share) {
  return {std::move(metric), share.value, share.interval(one_sided(q.level)).high, q.units, 2};
}

// Medians and quantiles far out in the tail say little when resampled: figures alone.
void add_divergence(const TextRecords& r, const Chunks& chunks, Quality& out) {
  const Ranks ranks(r);
  const std::vector<double> kl = chunks.means([&](size_t i) { return double{r.kl[i]}; });
  out.metrics.push_back(resampled(out, "kld_mean", "KL divergence from the base, mean", chunks.mean(kl)));
  std::vector<double> sorted(r.kl.begin(), r.kl.end());
  std::ranges::sort(sorted);
  const auto plain = [&](const char* key, const char* label, double value) {
    out.metrics.push_back({key, label, value, {}, Metric::Form::number});
  };
  plain("kld_median", "KL divergence, median", quantile_of_sorted(sorted, 0.5));
  out.metrics.push_back(
      resampled(out, "kld_p99", "KL divergence, 99 %", ranks.quantile(0.99), Metric::Form::number, true));
  plain("kld_p999", "KL divergence, 99.9 %", quantile_of_sorted(sorted, 0.999));
  plain("kld_max", "KL divergence, largest", sorted.back());
  out.losses.push_back(resampled_loss(out, "kld", chunks.mean(kl)));
}

void add_choices(const TextRecords& r, const Chunks& chunks, Quality& out) {
  if (r.chunks < 2) {  // one cluster tells nothing of how clusters differ
    const auto share = [&](const char* key, const char* label, auto hit) {
      double hits = 0;
      for (size_t i = 0; i < r.kl.size(); ++i) hits += hit(i) ? 1 : 0;
      out.metrics.push_back({key, label, hits / static_cast<double>(r.kl.size()), {}, Metric::Form::percent});
    };
    share("same_top1", "same likeliest token", [&](size_t i) { return r.same_top[i] != 0; });
    share("flips", "right tokens that turned wrong, or the reverse",
          [&](size_t i) { return r.right[i] != r.base_right[i]; });
    out.losses.push_back({"top1", 1 - out.find("same_top1")->value, {}, 1, 2});
    out.losses.push_back({"flips", out.find("flips")->value, {}, 1, 2});
    return;
  }
  out.metrics.push_back(share_metric(out, "same_top1", "same likeliest token",
                                     chunks.share([&](size_t i) { return r.same_top[i] != 0; })));
  const Share flips = chunks.share([&](size_t i) { return r.right[i] != r.base_right[i]; });
  out.metrics.push_back(share_metric(out, "flips", "right tokens that turned wrong, or the reverse", flips));
  out.losses.push_back(share_loss(out, "top1", chunks.share([&](size_t i) { return r.same_top[i] == 0; })));
  out.losses.push_back(share_loss(out, "flips", flips));
}

// Changes of the probability of the token that came; they lean to one side where a model is damaged.
void add_changes(const TextRecords& r, const Chunks& chunks, Quality& out) {
  const auto change = [&](size_t i) { return std::exp(-double{r.nll[i]}) - std::exp(-double{r.base_nll[i]}); };
  const std::vector<double> squares = chunks.means([&](size_t i) { return change(i) * change(i); });
  const auto mean_square = chunks.mean(squares);
  const auto rms = [&](std::span<const uint32_t> w) { return std::sqrt(mean_square(w)); };
  out.metrics.push_back(resampled(out, "dp_rms", "change of the token's probability, RMS", rms, Metric::Form::percent));
  const std::vector<double> means = chunks.means(change);
  out.metrics.push_back(
      resampled(out, "dp_mean", "change of the token's probability, mean", chunks.mean(means), Metric::Form::percent));
  std::vector<double> all(r.nll.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = change(i);
  std::ranges::sort(all);
  for (const auto& [key, label, q] : {std::tuple{"dp_p01", "change of the token's probability, 1 %", 0.01},
                                      std::tuple{"dp_p99", "change of the token's probability, 99 %", 0.99}})
    out.metrics.push_back({key, label, quantile_of_sorted(all, q), {}, Metric::Form::percent});
  const std::vector<double> tv = chunks.means([&](size_t i) { return double{r.tv[i]}; });
  out.metrics.push_back(
      resampled(out, "tv_mean", "total variation distance, mean", chunks.mean(tv), Metric::Form::percent));
}

void add_charts(const TextRecords& r, const Chunks& chunks, Quality& out) {
  out.charts.push_back(histogram("KL divergence of tokens", "How many tokens have a divergence of that size.",
                                 "KL divergence, nats", r.kl, true));
  Chart of_chunks{.title = "Chunks of the text",
                  .description = "What each chunk loses. Chunks are what is resampled.",
                  .x_label = "chunk",
                  .y_label = "change of ln perplexity",
                  .series = {},
                  .whole_x = true};
  const std::vector<double> loss = chunks.means([&](size_t i) { return double{r.nll[i]} - double{r.base_nll[i]}; });
  Series& dots = series_of(of_chunks, "chunk", Mark::cloud);
  for (size_t c = 0; c < loss.size(); ++c) dots.points.push_back({.x = static_cast<double>(c + 1), .y = loss[c]});
  out.charts.push_back(std::move(of_chunks));
}

}  // namespace

Quality summarise(const TextRecords& r, double level) {
  Quality out{.task = "text", .unit = "chunk", .item = "token", .units = r.chunks, .items = r.chunks * r.scored};
  out.paired = r.paired;
  out.level = level;
  const Chunks chunks(r);
  const std::vector<double> nll = chunks.means([&](size_t i) { return double{r.nll[i]}; });
  const auto mean_nll = chunks.mean(nll);
  const auto exponent = [](const Bootstrap::Statistic& s) {
    return [&s](std::span<const uint32_t> w) { return std::exp(s(w)); };
  };
  out.metrics.push_back(resampled(out, "ppl", "perplexity", exponent(mean_nll)));
  double squares = 0;
  const double middle = mean(nll);
  for (const double x : nll) squares += (x - middle) * (x - middle);
  const auto n = static_cast<double>(r.chunks);
  if (r.chunks > 1) {  // the delta method: d ppl = ppl d ln ppl
    out.metrics.push_back({"ppl_error",
                           "perplexity, standard error",
                           out.metrics[0].value * std::sqrt(squares / (n - 1) / n),
                           {},
                           Metric::Form::number});
  }
  out.notes.push_back(fmt::format(
      "windows of {} tokens side by side{}; the last {} of each are scored, each behind all before it in its window",
      r.ctx, r.begins ? ", the first replaced by the begin token" : "", r.scored));
  if (!r.paired) return out;
  const std::vector<double> base = chunks.means([&](size_t i) { return double{r.base_nll[i]}; });
  const auto mean_base = chunks.mean(base);
  out.metrics.push_back(resampled(out, "base_ppl", "perplexity of the base", exponent(mean_base)));
  std::vector<double> rise(nll.size());
  std::ranges::transform(nll, base, rise.begin(), std::minus<>{});
  const auto ln_ratio = chunks.mean(rise);
  out.metrics.push_back(resampled(out, "ln_ppl_ratio", "ln of the ratio of perplexities", ln_ratio));
  const auto relative = [&](std::span<const uint32_t> w) { return std::expm1(ln_ratio(w)); };
  out.metrics.push_back(resampled(out, "ppl_rise", "rise of perplexity", relative, Metric::Form::percent));
  out.losses.push_back(resampled_loss(out, "ppl", relative));
  add_divergence(r, chunks, out);
  add_choices(r, chunks, out);
  add_changes(r, chunks, out);
  add_charts(r, chunks, out);
  return out;
}

}  // namespace miao::measure
