// Encoders: texts, vectors or classes of them, requests that read a batch of texts.
#include <algorithm>
#include <numeric>
#include <set>

#include "base/sha256.h"
#include "compress/calibration_text.h"
#include "compress/search/records.h"
#include "compress/search/task.h"
#include "io/checkpoint.h"
#include "measure/encode_bench.h"
#include "measure/lengths.h"
#include "runtime/embed.h"
#include "runtime/encoder.h"

namespace miao::compress {

namespace {

using models::HeadSpec;
using runtime::Encoder;

constexpr std::array<size_t, kSets> kMost = {SIZE_MAX, 256, 2000, 4000};  // texts; the first: as text_items() takes
constexpr size_t kLeastTexts = 32, kLeastScored = 16;                     // of the sets that verdicts are about
constexpr int64_t kTimedTokens = 4096, kTimedTexts = 64;                  // that stand for all when times are taken

template <class T>
using OfSets = std::array<std::vector<T>, kSets>;

// At most so many, evenly.
template <class T>
void thin(std::vector<T>& items, size_t most) {
  const size_t n = items.size();
  if (n <= most) return;
  for (size_t i = 0; i < most; ++i) items[i] = std::move(items[i * n / most]);
  items.resize(most);
}

// The lines of a text, without empty ones and repetitions.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  std::set<std::string, std::less<>> seen;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.empty() && seen.emplace(line).second) out.emplace_back(line);
    at = end + 1;
  }
  return out;
}

template <class T>
OfSets<T> split(std::vector<T> items, const std::array<double, kSets>& shares) {
  OfSets<T> out;
  const std::vector<Set> sets = split_items(items.size(), shares);
  for (size_t i = 0; i < items.size(); ++i) out[sets[i]].push_back(std::move(items[i]));
  return out;
}

class EncoderTask : public Task {
 public:
  explicit EncoderTask(const CompressOptions& options) : Task(options) {}

  Wording wording() const override {
    Wording w{.encoder = true, .item = "text"};
    if (labelled()) {
      w.first = "accuracy";
      w.unit = "nats a text";
      w.axis = "KL divergence of classes, nats a text";
      w.told = {"accuracy_change", "flips", "kld_mean"};
      return w;
    }
    w.first = o_.pairs.empty() ? "cosine" : "spearman";
    w.loss = "distance";
    w.unit = "1 - cosine";
    w.axis = "distance of vectors, 1 - cosine";
    w.metric = "distance_mean";
    w.told = {"spearman_change", "distance_mean", "overlap"};
    return w;
  }

  Result<std::unique_ptr<Model>> open(const std::filesystem::path& file) override {
    MIAO_TRY(auto encoder, Encoder::open(file, {.threads = o_.threads, .isa = {}, .packs = {}, .cancel = o_.cancel}));
    return std::unique_ptr<Model>(std::move(encoder));
  }

  Result<Sets> cut(Model& model, const Kept&) override {
    auto& base = static_cast<Encoder&>(model);
    MIAO_CHECK_OK(check_head(base));
    if (o_.lengths && o_.lengths->max() > base.ctx()) {
      return Error{Code::invalid,
                   "inputs of " + std::to_string(o_.lengths->max()) + " tokens are too long: this encoder reads " +
                       std::to_string(base.ctx()),
                   o_.lengths->name()};
    }
    divide();
    Sets out;
    for (const std::string& text : texts_[kCalibration]) out.calibration_text += one_line(text) + "\n";
    for (size_t s = 0; s < kSets; ++s) {
      thin(texts_[s], kMost[s]);
      MIAO_CHECK_OK(check_size(static_cast<Set>(s)));
      if (s == kCalibration) {
        MIAO_TRY(out.items[s], text_items(base, out.calibration_text, {}));
      } else {
        MIAO_TRY(out.items[s], runtime::text_ids(base, texts_[s], {.truncate = true, .cancel = o_.cancel}));
      }
    }
    Hasher hasher;
    for (const auto& set : pairs_) {
      for (const auto& p : set) hasher.add(p.first + "\t" + p.second + "\t" + std::to_string(p.score) + "\n");
    }
    for (const auto& set : labels_) {
      for (const auto& t : set) hasher.add(t.text + "\t" + t.label + "\n");
    }
    out.data = hasher.hex() + " " + std::to_string(o_.near);
    MIAO_CHECK_OK(choose_lengths(base, out.items[kVerify]));
    return out;
  }

  Request request() const override { return request_; }
  Clock clock(Model& model) const override { return clock_of(static_cast<Encoder&>(model), request_, o_.cancel); }

  Result<measure::LatencyReport> latency(Model& model, const measure::Workload& workload) const override {
    auto& encoder = static_cast<Encoder&>(model);
    return measure::bench_latency(encoder, workload, encoder.ctx());
  }

  int64_t memory(const Model& model) const override {
    const runtime::MemoryReport m =
        static_cast<const Encoder&>(model).memory(request_.batch, std::ranges::max(request_.lengths));
    return m.weights + m.embedding + m.buffers;
  }

  std::optional<kernels::KvType> kv_type(const Model&) const override { return std::nullopt; }  // they keep none
  Result<void> use_kv(Model&, kernels::KvType) const override { return {}; }

  Result<Json> measure(Model& model, Model& other, Set set, const measure::QualityRun& run) const override {
    auto &own = static_cast<Encoder&>(model), &base = static_cast<Encoder&>(other);
    if (labelled()) {
      MIAO_TRY(const auto records, measure::measure_labels(own, &base, labels_[set], run));
      return Json{{"labels", to_json(records)}};
    }
    MIAO_TRY(const auto vectors, measure::measure_vectors(own, base, texts_[set], o_.near, run));
    Json out{{"vectors", to_json(vectors)}};
    if (pairs_[set].empty()) return out;
    MIAO_TRY(const auto pairs, measure::measure_pairs(own, &base, pairs_[set], run));
    out["pairs"] = to_json(pairs);
    return out;
  }

  Result<measure::Quality> quality(const Json& json) const override {
    if (labelled()) {
      MIAO_TRY(const auto labels, label_records_of(json.value("labels", Json())));
      return measure::summarise(labels, o_.level);
    }
    MIAO_TRY(const auto vectors, vector_records_of(json.value("vectors", Json())));
    measure::Quality out = measure::summarise(vectors, o_.level);
    if (!json.contains("pairs")) return out;
    MIAO_TRY(const auto pairs, pair_records_of(json["pairs"]));
    const measure::Quality of_pairs = measure::summarise(pairs, o_.level);
    out.metrics.insert(out.metrics.begin(), of_pairs.metrics.begin(), of_pairs.metrics.end());
    for (measure::Loss loss : of_pairs.losses) {
      loss.unit = of_pairs.unit;
      out.losses.insert(out.losses.begin(), std::move(loss));
    }
    out.notes.push_back("rank correlations are of " + of_pairs.count());
    return out;
  }

 private:
  bool labelled() const { return !o_.labels.empty(); }

  static std::string one_line(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    return text;
  }

  // What the model gives, and whether there is something to judge it by.
  Result<void> check_head(const Encoder& base) const {
    const std::string where = base.checkpoint().path().string();
    const HeadSpec::Task task = base.spec().head.task;
    if (task == HeadSpec::Task::embedding) {
      if (labelled()) return Error{Code::invalid, "gives vectors of texts, not classes; leave --labels out", where};
    } else if (task == HeadSpec::Task::sequence) {
      if (!labelled())
        return Error{Code::invalid, "classifies texts, and is judged by labelled ones: give --labels FILE", where};
    } else {
      return Error{Code::unsupported, "gives neither vectors nor classes of texts; miao quantize rounds it", where};
    }
    if (!o_.text.empty() || !o_.pairs.empty() || labelled()) return {};
    return Error{Code::invalid, "is an encoder and writes no text of its own; give texts, one a line: --text FILE",
                 where};
  }

  void divide() {
    const bool own_text = !o_.text.empty();
    const std::array<double, kSets> all = {0.25, 0.05, 0.25, 0.45}, judged = {0, 0, 0.36, 0.64};
    pairs_ = split(o_.pairs, own_text ? judged : all);
    labels_ = split(o_.labels, own_text ? judged : all);
    if (own_text) {
      texts_ = o_.final_text.empty() ? split(lines_of(o_.text), all) : split(lines_of(o_.text), {0.42, 0.08, 0.5, 0});
      if (!o_.final_text.empty()) texts_[kFinal] = lines_of(o_.final_text);
      return;
    }
    for (size_t s = 0; s < kSets; ++s) {
      std::set<std::string, std::less<>> seen;
      const auto add = [&](const std::string& text) {
        if (seen.insert(text).second) texts_[s].push_back(text);
      };
      for (const auto& p : pairs_[s]) add(p.first), add(p.second);
      for (const auto& t : labels_[s]) add(t.text);
    }
  }

  Result<void> check_size(Set set) const {
    const bool judged = set == kVerify || set == kFinal;
    const auto few = [&](size_t found, size_t least, const char* what) {
      return Error{Code::invalid,
                   "is too short: " + std::to_string(found) + " " + what + " are left for " + kSetNames[set] +
                       ", and " + std::to_string(least) + " are needed; give about " +
                       std::to_string((least + found) / std::max<size_t>(1, found)) + " times as many",
                   o_.text_name};
    };
    const size_t least = judged ? std::max(kLeastTexts, 2 * static_cast<size_t>(o_.near)) : 1;
    if (texts_[set].size() < least) return few(texts_[set].size(), least, "texts");
    if (!judged) return {};
    if (!o_.pairs.empty() && pairs_[set].size() < kLeastScored) return few(pairs_[set].size(), kLeastScored, "pairs");
    if (labelled() && labels_[set].size() < kLeastScored)
      return few(labels_[set].size(), kLeastScored, "labelled texts");
    return {};
  }

  // Of texts that stand for those of the set: one of each of as many equally likely parts of the distribution.
  Result<void> choose_lengths(const Encoder& base, const Items& items) {
    request_ = {.prompt = 0, .gen = 0, .batch = o_.request.batch};
    const int64_t limit = runtime::text_limit(base);
    std::vector<int64_t> lengths;
    for (const auto& ids : items) lengths.push_back(static_cast<int64_t>(ids.size()));
    if (o_.tokens) {
      if (*o_.tokens < 1 || *o_.tokens > limit) {
        return Error{
            Code::invalid,
            "texts of " + std::to_string(*o_.tokens) + " tokens: the model reads 1 to " + std::to_string(limit),
            "--prompt"};
      }
      lengths = {*o_.tokens};
    }
    MIAO_TRY(const auto distribution, measure::LengthDistribution::of(std::move(lengths), base.ctx(), "texts"));
    const double mean = distribution.mean();
    const auto count =
        std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(kTimedTokens) / mean), 1, kTimedTexts);
    const int64_t passes = (count + request_.batch - 1) / request_.batch;
    runtime::Rng rng(o_.seed);
    request_.lengths = distribution.stratified(passes * request_.batch, rng);
    const auto total = std::accumulate(request_.lengths.begin(), request_.lengths.end(), int64_t{0});
    const auto texts = static_cast<int64_t>(request_.lengths.size());
    request_.prompt = (total + texts / 2) / texts;
    return {};
  }

  OfSets<std::string> texts_;
  OfSets<measure::ScoredPair> pairs_;
  OfSets<measure::LabelledText> labels_;
  Request request_;
};

}  // namespace

std::unique_ptr<Task> encoder_task(const CompressOptions& options) { return std::make_unique<EncoderTask>(options); }

}  // namespace miao::compress
