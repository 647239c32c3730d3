// See quality.h: accuracy and what changed, of answers that are right or wrong.
#include <algorithm>

#include "measure/intervals.h"
#include "measure/quality.h"
#include "measure/quality/summary.h"

namespace miao::measure {

namespace {

int64_t right(const std::vector<int32_t>& picks, const std::vector<int32_t>& truth) {
  int64_t out = 0;
  for (size_t i = 0; i < truth.size(); ++i) out += picks[i] == truth[i];
  return out;
}

Metric share(std::string key, std::string label, int64_t hits, int64_t n, double level) {
  return {std::move(key), std::move(label), static_cast<double>(hits) / static_cast<double>(n), wilson(hits, n, level),
          Metric::Form::percent};
}

void compare(const AnswerRecords& r, const AnswerRecords::Picks& p, Quality& out) {
  const int64_t n = out.items;
  Discordant d{.n = n};
  int64_t other = 0;
  for (size_t i = 0; i < r.truth.size(); ++i) {
    const bool own = p.own[i] == r.truth[i], base = p.base[i] == r.truth[i];
    d.gained += own && !base;
    d.lost += base && !own;
    other += p.own[i] != p.base[i];
  }
  const std::string tail = p.metric == "accuracy" ? "" : p.metric.substr(p.metric.find('_'));
  const std::string words = p.label == "accuracy" ? "" : p.label.substr(p.label.find(' '));
  out.metrics.push_back(share("base_" + p.metric, p.label + " of the base", right(p.base, r.truth), n, out.level));
  out.metrics.push_back({p.metric + "_change", "change of " + p.label, paired_difference(d),
                         paired_difference(d, out.level), Metric::Form::percent});
  out.metrics.push_back(share("flips" + tail, "right answers that turned wrong, or the reverse" + words,
                              d.gained + d.lost, n, out.level));
  out.metrics.push_back(share("changed" + tail, "answers that are not the base's" + words, other, n, out.level));
  out.metrics.push_back(
      {"lost" + tail, "right by the base alone" + words, static_cast<double>(d.lost), {}, Metric::Form::count});
  out.metrics.push_back(
      {"gained" + tail, "right by the model alone" + words, static_cast<double>(d.gained), {}, Metric::Form::count});
  out.metrics.push_back({"mcnemar_p" + tail, "McNemar's exact p" + words, mcnemar(d), {}, Metric::Form::number});
  out.losses.push_back({p.metric, -paired_difference(d), -paired_difference(d, one_sided(out.level)).low, n, 1});
  if (!tail.empty()) return;
  out.losses.push_back({"flips", static_cast<double>(d.gained + d.lost) / static_cast<double>(n),
                        wilson(d.gained + d.lost, n, one_sided(out.level)).high, n, 1});
}

}  // namespace

Quality summarise(const AnswerRecords& r, double level) {
  Quality out;
  out.task = r.task;
  out.unit = out.item = r.item;
  out.units = out.items = static_cast<int64_t>(r.truth.size());
  out.paired = r.paired;
  out.level = level;
  out.notes = r.notes;
  for (const AnswerRecords::Picks& p : r.picks) {
    out.metrics.push_back(share(p.metric, p.label, right(p.own, r.truth), out.items, level));
    if (r.paired) compare(r, p, out);
  }
  if (r.kl.empty()) return out;
  const std::vector<double> kl(r.kl.begin(), r.kl.end()), ones(kl.size(), 1);
  const auto mean = weighted_mean(kl, ones);
  out.metrics.push_back(resampled(out, "kld_mean", "KL divergence of classes, mean", mean));
  out.losses.push_back(resampled_loss(out, "kld", mean));
  return out;
}

}  // namespace miao::measure
