#include "runtime/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/check.h"

namespace miao::runtime {

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

struct Beam {
  Sequence past;
  std::vector<int32_t> tokens;  // with the prefix
  size_t fed = 0;               // of them that are in `past`
  double log_probability = 0;
};

struct Candidate {
  size_t beam = 0;
  int32_t token = 0;
  double log_probability = 0;
  // Of equal ones the first, as everywhere.
  bool operator<(const Candidate& other) const {
    if (log_probability != other.log_probability) return log_probability > other.log_probability;
    return beam != other.beam ? beam < other.beam : token < other.token;
  }
};

// The search of one input.
struct Search {
  const BeamInput* input = nullptr;
  std::vector<Beam> beams;
  std::vector<Hypothesis> ended;  // best first, at most BeamOptions::beams
  std::optional<Sampler> sampler;
};

// One row of logits and what comes of it.
struct Row {
  const Search* search = nullptr;
  size_t beam = 0;              // of the search
  std::vector<Candidate> best;  // best first
  std::optional<Error> error;
};

class BeamSearch {
 public:
  BeamSearch(Engine& engine, const BeamOptions& options, std::span<const TokenRule> rules)
      : engine_(engine),
        o_(options),
        rules_(rules),
        beams_(static_cast<size_t>(options.beams)),
        most_(std::max<size_t>(2, 1 + o_.ends.size()) * beams_),
        enough_(beams_) {
    if (o_.early == BeamOptions::Early::yes) {
      const auto ended = std::lround(static_cast<double>(o_.beams) * o_.patience);
      enough_ = static_cast<size_t>(std::max(1L, ended));
    }
  }

  Result<std::vector<std::vector<Hypothesis>>> run(std::span<const BeamInput> inputs, const std::atomic<bool>* cancel) {
    std::vector<Search> searches(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      searches[i].input = &inputs[i];
      const Sequence* const begun = inputs[i].begun;
      Sequence past = begun ? begun->fork() : engine_.new_sequence();
      const auto fed = static_cast<size_t>(past.size());
      searches[i].beams.push_back({std::move(past), inputs[i].prefix, fed, 0});
      if (!o_.sampling) continue;
      SamplerOptions own = *o_.sampling;
      if (own.seed) *own.seed += inputs[i].number;
      MIAO_TRY(searches[i].sampler, Sampler::create(std::move(own), engine_.vocab()));
    }
    for (;;) {
      slices_.clear();
      rows_.clear();
      for (Search& s : searches) {
        for (size_t b = 0; b < s.beams.size(); ++b) {
          Beam& beam = s.beams[b];
          slices_.push_back({&beam.past, std::span(beam.tokens).subspan(beam.fed), Want::last, s.input->memory});
          rows_.push_back({&s, b, {}, {}});
        }
      }
      if (slices_.empty()) break;
      MIAO_TRY(const Logits logits, engine_.forward(slices_, cancel));
      MIAO_CHECK_OK(rate(logits));
      std::span<Row> rest = rows_;
      for (Search& s : searches) {
        const size_t count = s.beams.size();
        if (count > 0) MIAO_CHECK_OK(advance(s, rest.first(count)));
        rest = rest.subspan(count);
      }
    }
    std::vector<std::vector<Hypothesis>> out;
    for (Search& s : searches) {
      s.ended.resize(std::min(s.ended.size(), static_cast<size_t>(o_.best)));
      out.push_back(std::move(s.ended));
    }
    return out;
  }

 private:
  size_t length(const Search& s, const std::vector<int32_t>& tokens) const {
    return tokens.size() - s.input->prefix.size();
  }
  static Error no_token() { return {Code::invalid, "the rules forbid every token", {}}; }
  bool ends(int32_t token) const { return std::find(o_.ends.begin(), o_.ends.end(), token) != o_.ends.end(); }
  double score(double log_probability, size_t tokens) const {
    return log_probability / std::pow(static_cast<double>(tokens), o_.length_penalty);
  }

  // All rows, each by one thread: with a large vocabulary this takes as long as the model.
  Result<void> rate(const Logits& logits) {
    scratch_.resize(static_cast<size_t>(engine_.pool().threads()));
    std::atomic<size_t> next{0};
    engine_.pool().run([&](Worker& worker) {
      for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < rows_.size();) {
        rate(rows_[i], logits.row(static_cast<int64_t>(i)), scratch_[static_cast<size_t>(worker.index)]);
      }
    });
    for (const Row& row : rows_) {
      if (row.error) return *row.error;
    }
    return {};
  }

  void rate(Row& row, std::span<const float> logits, std::vector<float>& scratch) {
    const Beam& beam = row.search->beams[row.beam];
    scratch.resize(2 * logits.size());
    const std::span<float> scores = std::span(scratch).first(logits.size());
    const std::span<float> shares = std::span(scratch).last(logits.size());
    if (o_.rules_first) return rate_what_rules_leave(row, logits, scores, shares);
    const auto normaliser = engine_.log_sum_exp(logits, shares);
    if (!normaliser.ok()) {
      row.error = normaliser.error();
      return;
    }
    double shift = beam.log_probability - double{*normaliser};
    std::span<const float> values = logits;
    if (!rules_.empty() || o_.sampling) {
      // Rules see log-probabilities, with one beam logits: as in transformers.
      const float off = beams_ > 1 ? *normaliser : 0;
      if (beams_ > 1) shift = beam.log_probability;
      for (size_t j = 0; j < logits.size(); ++j) scores[j] = logits[j] - off;
      for (const TokenRule& rule : rules_) rule(beam.tokens, row.search->input->prefix.size(), scores);
      values = scores;
    }
    choose(row, values, shift);
  }

  void rate_what_rules_leave(Row& row, std::span<const float> logits, std::span<float> scores,
                             std::span<float> shares) {
    const Beam& beam = row.search->beams[row.beam];
    std::copy(logits.begin(), logits.end(), scores.begin());
    for (const TokenRule& rule : rules_) rule(beam.tokens, row.search->input->prefix.size(), scores);
    if (std::ranges::all_of(scores, [](float value) { return value == kForbidden; })) {
      row.error = no_token();
      return;
    }
    const auto normaliser = engine_.log_sum_exp(scores, shares);
    if (!normaliser.ok()) {
      row.error = normaliser.error();
      return;
    }
    for (float& value : scores) value -= *normaliser;
    choose(row, scores, beam.log_probability);
  }

  void choose(Row& row, std::span<const float> values, double shift) {
    if (row.search->sampler) {
      draw(row, values, shift);
    } else {
      gather(row, values, shift);
    }
  }

  void draw(Row& row, std::span<const float> values, double shift) {
    auto token = const_cast<Search*>(row.search)->sampler->sample(values);
    if (!token.ok()) {
      row.error = std::move(token.error());
      return;
    }
    row.best.push_back({row.beam, *token, shift + double{values[static_cast<size_t>(*token)]}});
  }

  // The best most_ tokens of a row. Blocks without any that could be among them are passed over.
  void gather(Row& row, std::span<const float> values, double shift) const {
    constexpr size_t kBlock = 64;
    std::vector<Candidate>& best = row.best;  // a heap with the worst in front
    float least = kForbidden;                 // a token has to be above it
    for (size_t first = 0; first < values.size(); first += kBlock) {
      const size_t last = std::min(first + kBlock, values.size());
      bool any = false;
      for (size_t j = first; j < last; ++j) any |= values[j] > least;
      if (!any) continue;
      for (size_t j = first; j < last; ++j) {
        if (!(values[j] > least)) continue;
        if (best.size() == most_) {
          std::pop_heap(best.begin(), best.end());
          best.pop_back();
        }
        best.push_back({row.beam, static_cast<int32_t>(j), double{values[j]}});
        std::push_heap(best.begin(), best.end());
        if (best.size() == most_) least = static_cast<float>(best.front().log_probability);
      }
    }
    std::sort(best.begin(), best.end());
    for (Candidate& c : best) c.log_probability += shift;
  }

  Result<void> advance(Search& s, std::span<Row> rows) {
    std::vector<Candidate> candidates;
    for (size_t b = 0; b < rows.size(); ++b) {
      s.beams[b].fed = s.beams[b].tokens.size();
      candidates.insert(candidates.end(), rows[b].best.begin(), rows[b].best.end());
    }
    if (candidates.empty()) return no_token();
    std::sort(candidates.begin(), candidates.end());
    if (candidates.size() > most_) candidates.resize(most_);
    const size_t tokens = length(s, s.beams.front().tokens) + 1;
    const bool last = tokens >= static_cast<size_t>(o_.max_tokens) ||
                      static_cast<int64_t>(s.beams.front().tokens.size()) + 1 > engine_.ctx();
    std::vector<Candidate> next;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      if (!last && !ends(c.token)) {
        if (next.size() < beams_) next.push_back(c);
      } else if (i < beams_) {
        end(s, c, tokens);
      }
    }
    if (next.empty() || finished(s, next.front().log_probability, tokens)) {
      s.beams.clear();
    } else {
      follow(s, next);
    }
    return {};
  }

  void end(Search& s, const Candidate& c, size_t tokens) {
    Hypothesis h;
    const std::vector<int32_t>& before = s.beams[c.beam].tokens;
    h.tokens.assign(before.begin() + static_cast<std::ptrdiff_t>(s.input->prefix.size()), before.end());
    h.tokens.push_back(c.token);
    h.log_probability = c.log_probability;
    h.score = score(c.log_probability, o_.end_counts || !ends(c.token) ? tokens : std::max<size_t>(tokens - 1, 1));
    const auto at =
        std::find_if(s.ended.begin(), s.ended.end(), [&](const Hypothesis& e) { return e.score < h.score; });
    s.ended.insert(at, std::move(h));
    if (s.ended.size() > std::max(beams_, enough_)) s.ended.pop_back();
  }

  bool finished(const Search& s, double best_running, size_t tokens) const {
    if (s.ended.size() < enough_) return false;
    if (beams_ == 1) return true;
    if (o_.early == BeamOptions::Early::yes) return true;
    const bool longest = o_.early == BeamOptions::Early::never && o_.length_penalty > 0;
    const double reachable = score(best_running, longest ? static_cast<size_t>(o_.max_tokens) : tokens);
    return reachable <= s.ended.back().score;
  }

  // The beams that the candidates make. The last child of a beam takes over its past, the others fork it.
  void follow(Search& s, const std::vector<Candidate>& next) {
    std::vector<size_t> children(s.beams.size());
    for (const Candidate& c : next) ++children[c.beam];
    std::vector<Beam> grown;
    for (const Candidate& c : next) {
      Beam& parent = s.beams[c.beam];
      const bool only = --children[c.beam] == 0;
      Beam beam{only ? std::move(parent.past) : parent.past.fork(), parent.tokens, parent.fed, c.log_probability};
      beam.tokens.push_back(c.token);
      grown.push_back(std::move(beam));
    }
    s.beams = std::move(grown);
  }

  Engine& engine_;
  const BeamOptions& o_;
  std::span<const TokenRule> rules_;
  size_t beams_, most_;  // most_: candidates of an input for its next beams
  size_t enough_;        // hypotheses that may end a search
  std::vector<Slice> slices_;
  std::vector<Row> rows_;                    // of slices_
  std::vector<std::vector<float>> scratch_;  // (2, vocab) of each thread
};

}  // namespace

Result<std::vector<std::vector<Hypothesis>>> beam_search(Engine& engine, std::span<const BeamInput> inputs,
                                                         const BeamOptions& options, std::span<const TokenRule> rules,
                                                         const std::atomic<bool>* cancel) {
  constexpr int64_t kMostBeams = 256;
  if (options.beams < 1 || options.beams > kMostBeams) {
    return Error{Code::invalid, std::to_string(options.beams) + " beams are not within 1 to 256", {}};
  }
  if (options.best < 1 || options.best > options.beams) {
    return Error{Code::invalid,
                 std::to_string(options.best) + " results of an input are not within 1 to the number of beams, " +
                     std::to_string(options.beams),
                 {}};
  }
  if (options.sampling && options.beams > 1) {
    return Error{Code::invalid, "beams and sampling exclude each other; take one beam to sample", {}};
  }
  if (options.max_tokens < 1) return Error{Code::invalid, "at least one new token has to be allowed", {}};
  if (!(options.patience > 0 && options.patience <= 100)) {
    return Error{Code::invalid, "a patience of more than 0 and at most 100 is wanted", {}};
  }
  if (!std::isfinite(options.length_penalty)) return Error{Code::invalid, "the length penalty is no number", {}};
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].prefix.empty()) {
      return Error{Code::invalid, "there is no token to begin with", "input " + std::to_string(i + 1)};
    }
    MIAO_CHECK(!inputs[i].begun || inputs[i].begun->size() < static_cast<int64_t>(inputs[i].prefix.size()));
  }
  return BeamSearch(engine, options, rules).run(inputs, cancel);
}

}  // namespace miao::runtime
