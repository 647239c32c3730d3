// See quality.h: vectors of sentences, compared with the base's and with what people say of pairs.
#include <algorithm>
#include <cmath>
#include <string>

#include "io/checkpoint.h"
#include "measure/quality.h"
#include "measure/quality/summary.h"
#include "measure/ranks.h"
#include "models/spec.h"
#include "runtime/embed.h"
#include "runtime/encoder.h"

namespace miao::measure {

namespace {

using runtime::Encoder;

constexpr size_t kBlock = 256;       // texts between two looks at the clock
constexpr size_t kQuestions = 2000;  // texts whose nearest are looked for: the work is this times all texts

// Rows of length 1.
struct Vectors {
  size_t dim = 0;
  std::vector<float> values;
  std::span<const float> row(size_t i) const { return std::span(values).subspan(i * dim, dim); }
  size_t rows() const { return values.size() / dim; }
};

double dot(std::span<const float> a, std::span<const float> b) {
  double sum[8] = {};  // side by side, so that the compiler makes vectors of them
  size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    for (size_t j = 0; j < 8; ++j) sum[j] += double{a[i + j]} * double{b[i + j]};
  }
  double out = 0;
  for (const double s : sum) out += s;
  for (; i < a.size(); ++i) out += double{a[i]} * double{b[i]};
  return out;
}

// Of the difference: 1 - cosine of rows of length 1.
double half_square(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
  return sum / 2;
}

Result<Vectors> vectors_of(Encoder& encoder, std::span<const std::string> texts, const QualityRun& run, int64_t before,
                           int64_t total) {
  const std::string where = encoder.checkpoint().path().string();
  if (encoder.spec().head.task != models::HeadSpec::Task::embedding)
    return Error{Code::unsupported, "gives no vectors of texts", where};
  Vectors out{.dim = static_cast<size_t>(encoder.spec().dim), .values = {}};
  for (size_t first = 0; first < texts.size(); first += kBlock) {
    const auto block = texts.subspan(first, std::min(kBlock, texts.size() - first));
    MIAO_TRY(const std::vector<float> rows, runtime::embed(encoder, block, {.truncate = true, .cancel = run.stop}));
    out.values.insert(out.values.end(), rows.begin(), rows.end());
    if (run.progress) run.progress(before + static_cast<int64_t>(first + block.size()), total);
  }
  for (size_t i = 0; i < out.rows(); ++i) {
    const auto row = std::span(out.values).subspan(i * out.dim, out.dim);
    double squares = 0;
    for (const float x : row) squares += double{x} * double{x};
    if (!std::isfinite(squares) || squares == 0)
      return Error{Code::corrupt, "gives a vector without a direction; its file may be damaged", where};
    const auto factor = static_cast<float>(1 / std::sqrt(squares));
    for (float& x : row) x *= factor;
  }
  return out;
}

std::vector<size_t> nearest(const Vectors& all, size_t to, size_t count) {
  std::vector<std::pair<double, size_t>> rated;
  for (size_t i = 0; i < all.rows(); ++i) {
    if (i != to) rated.emplace_back(-dot(all.row(to), all.row(i)), i);
  }
  std::partial_sort(rated.begin(), rated.begin() + static_cast<ptrdiff_t>(count), rated.end());
  std::vector<size_t> out;
  for (size_t i = 0; i < count; ++i) out.push_back(rated[i].second);
  std::ranges::sort(out);
  return out;
}

Result<std::vector<double>> cosines(Encoder& encoder, std::span<const ScoredPair> pairs, const QualityRun& run,
                                    int64_t before, int64_t total) {
  std::vector<std::string> texts;
  for (const ScoredPair& p : pairs) {
    texts.push_back(p.first);
    texts.push_back(p.second);
  }
  MIAO_TRY(const Vectors vectors, vectors_of(encoder, texts, run, before, total));
  std::vector<double> out;
  for (size_t i = 0; i < pairs.size(); ++i) out.push_back(dot(vectors.row(2 * i), vectors.row(2 * i + 1)));
  return out;
}

}  // namespace

Result<VectorRecords> measure_vectors(Encoder& model, Encoder& base, std::span<const std::string> texts, int64_t near,
                                      const QualityRun& run) {
  if (texts.size() < 2) return Error{Code::invalid, "vectors are compared over two texts at least", {}};
  const auto count = static_cast<int64_t>(texts.size());
  MIAO_TRY(const Vectors own, vectors_of(model, texts, run, 0, 2 * count));
  MIAO_TRY(const Vectors other, vectors_of(base, texts, run, count, 2 * count));
  if (own.dim != other.dim) {
    return Error{Code::invalid,
                 "gives vectors of " + std::to_string(other.dim) + " values, the model of " + std::to_string(own.dim),
                 base.checkpoint().path().string()};
  }
  VectorRecords out{.near = std::clamp<int64_t>(near, 1, count - 1), .cosine = {}, .overlap = {}, .distance = {}};
  for (size_t i = 0; i < texts.size(); ++i) {
    out.cosine.push_back(static_cast<float>(dot(own.row(i), other.row(i))));
    out.distance.push_back(static_cast<float>(half_square(own.row(i), other.row(i))));
  }
  const size_t questions = std::min(kQuestions, texts.size());
  out.overlap.resize(questions);
  model.pool().run([&](Worker& worker) {
    const Range part = worker.split(static_cast<int64_t>(questions));
    for (int64_t i = part.begin; i < part.end; ++i) {
      const size_t text = static_cast<size_t>(i) * texts.size() / questions;  // spread over all
      const auto k = static_cast<size_t>(out.near);
      const auto a = nearest(own, text, k), b = nearest(other, text, k);
      std::vector<size_t> both;
      std::ranges::set_intersection(a, b, std::back_inserter(both));
      out.overlap[static_cast<size_t>(i)] = static_cast<float>(both.size()) / static_cast<float>(k);
    }
  });
  return out;
}

Quality summarise(const VectorRecords& r, double level) {
  Quality out;
  out.task = "vectors";
  out.unit = out.item = "text";
  out.units = out.items = static_cast<int64_t>(r.cosine.size());
  out.paired = true;
  out.level = level;
  const std::vector<double> cosine(r.cosine.begin(), r.cosine.end()), overlap(r.overlap.begin(), r.overlap.end());
  const std::vector<double> ones(cosine.size(), 1);
  const auto of_cosine = weighted_mean(cosine, ones);
  out.metrics.push_back(resampled(out, "cosine_mean", "cosine to the base's vector, mean", of_cosine));
  out.metrics.push_back({"cosine_min", "cosine to the base's vector, least", quantile(cosine, 0), {}});
  out.metrics.push_back({"cosine_p01", "cosine to the base's vector, 1 %", quantile(cosine, 0.01), {}});
  const std::vector<double> distance(r.distance.begin(), r.distance.end());
  const auto of_distance = weighted_mean(distance, ones);
  out.metrics.push_back(resampled(out, "distance_mean", "1 - cosine to the base's vector, mean", of_distance));
  out.losses.push_back(resampled_loss(out, "cosine", of_distance));
  Quality questions = out;  // those whose nearest texts were looked for
  questions.units = static_cast<int64_t>(overlap.size());
  const auto of_overlap = weighted_mean(overlap, std::span(ones).first(overlap.size()));
  out.metrics.push_back(resampled(questions, "overlap", "nearest texts that are the base's too, mean", of_overlap,
                                  Metric::Form::percent));
  out.losses.push_back(resampled_share_loss(
      questions, "overlap", [&](auto w) { return 1 - of_overlap(w); }, questions.units * r.near));
  out.notes.push_back("of each text the " + std::to_string(r.near) + " nearest among the others");
  out.charts.push_back(histogram("Distance of vectors", "How many texts have a vector so far from the base's.",
                                 "1 - cosine", r.distance, true));
  return out;
}

Result<PairRecords> measure_pairs(Encoder& model, Encoder* base, std::span<const ScoredPair> pairs,
                                  const QualityRun& run) {
  if (pairs.size() < 2) return Error{Code::invalid, "a rank correlation takes two pairs at least", {}};
  PairRecords out;
  out.paired = base != nullptr;
  for (const ScoredPair& p : pairs) out.score.push_back(p.score);
  if (std::ranges::count(out.score, out.score[0]) == static_cast<ptrdiff_t>(pairs.size()))
    return Error{Code::invalid, "all pairs have the same score, so there is no order to compare with", {}};
  const auto texts = 2 * static_cast<int64_t>(pairs.size());
  MIAO_TRY(out.own, cosines(model, pairs, run, 0, base ? 2 * texts : texts));
  if (base) {
    MIAO_TRY(out.base, cosines(*base, pairs, run, texts, 2 * texts));
  }
  return out;
}

Quality summarise(const PairRecords& r, double level) {
  Quality out;
  out.task = "pairs";
  out.unit = out.item = "pair";
  out.units = out.items = static_cast<int64_t>(r.score.size());
  out.paired = r.paired;
  out.level = level;
  const WeightedRanks score(r.score), own(r.own);
  const auto rho = [&](auto w) { return spearman(score, own, w); };
  out.metrics.push_back(resampled(out, "spearman", "rank correlation with the scores (Spearman)", rho));
  if (!r.paired) return out;
  const WeightedRanks base(r.base);
  out.metrics.push_back(resampled(out, "base_spearman", "rank correlation of the base",
                                  [&](auto w) { return spearman(score, base, w); }));
  const auto change = [&](auto w) { return spearman(score, own, w) - spearman(score, base, w); };
  out.metrics.push_back(resampled(out, "spearman_change", "change of the rank correlation", change));
  out.losses.push_back(resampled_loss(out, "spearman", [&](auto w) { return -change(w); }));
  return out;
}

}  // namespace miao::measure
