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
  bool done = false;
};

class BeamSearch {
 public:
  BeamSearch(Engine& engine, const BeamOptions& options, std::span<const TokenRule> rules)
      : engine_(engine), o_(options), rules_(rules), beams_(static_cast<size_t>(options.beams)) {
    if (options.early == BeamOptions::Early::yes) {
      enough_ = static_cast<size_t>(std::lround(static_cast<double>(options.beams) * options.patience));
    }
    enough_ = std::max<size_t>(enough_, options.early == BeamOptions::Early::yes ? 1 : beams_);
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
      if (own.seed) *own.seed += i;
      MIAO_TRY(searches[i].sampler, Sampler::create(std::move(own), engine_.vocab()));
    }
    for (;;) {
      slices_.clear();
      for (Search& s : searches) {
        for (Beam& beam : s.beams) {
          if (!s.done)
            slices_.push_back({&beam.past, std::span(beam.tokens).subspan(beam.fed), Want::last, s.input->memory});
        }
      }
      if (slices_.empty()) break;
      MIAO_TRY(const Logits logits, engine_.forward(slices_, cancel));
      int64_t row = 0;
      for (Search& s : searches) {
        if (!s.done) MIAO_CHECK_OK(advance(s, logits, row));
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

  // Scores of all tokens behind a beam.
  Result<std::span<const float>> scores(const Search& s, const Beam& beam, std::span<const float> logits) {
    scores_.resize(logits.size());
    if (o_.rules_first) {
      std::copy(logits.begin(), logits.end(), scores_.begin());
      for (const TokenRule& rule : rules_) rule(beam.tokens, s.input->prefix.size(), scores_);
      if (std::ranges::all_of(scores_, [](float value) { return value == kForbidden; })) return no_token();
      MIAO_TRY(const float normaliser, engine_.log_sum_exp(scores_));
      for (float& value : scores_) value -= normaliser;
      return std::span<const float>(scores_);
    }
    MIAO_TRY(const float normaliser, engine_.log_sum_exp(logits));
    const float shift = beams_ > 1 ? normaliser : 0;
    for (size_t j = 0; j < logits.size(); ++j) scores_[j] = logits[j] - shift;
    for (const TokenRule& rule : rules_) rule(beam.tokens, s.input->prefix.size(), scores_);
    if (beams_ > 1) return std::span<const float>(scores_);
    for (float& value : scores_) value -= normaliser;  // what the one beam's hypothesis is rated by
    return std::span<const float>(scores_);
  }

  // Keeps the best `most` of candidates_ and of this beam's tokens.
  void gather(size_t beam, double so_far, std::span<const float> scores, size_t most) {
    float floor = kForbidden;  // what is not above it cannot be among them: nearly all of a large vocabulary
    for (size_t j = 0; j < scores.size(); ++j) {
      if (!(scores[j] > floor)) continue;
      const Candidate c{beam, static_cast<int32_t>(j), so_far + double{scores[j]}};
      if (candidates_.size() == most) {
        if (!(c < candidates_.front())) continue;
        std::pop_heap(candidates_.begin(), candidates_.end());
        candidates_.pop_back();
      }
      candidates_.push_back(c);
      std::push_heap(candidates_.begin(), candidates_.end());
      if (candidates_.size() == most) {
        floor = std::nextafter(static_cast<float>(candidates_.front().log_probability - so_far), kForbidden);
      }
    }
  }

  Result<void> advance(Search& s, const Logits& logits, int64_t& row) {
    const size_t most = std::max<size_t>(2, 1 + o_.ends.size()) * beams_;
    candidates_.clear();
    for (size_t b = 0; b < s.beams.size(); ++b) {
      Beam& beam = s.beams[b];
      beam.fed = beam.tokens.size();
      MIAO_TRY(const std::span<const float> values, scores(s, beam, logits.row(row++)));
      if (s.sampler) {
        MIAO_TRY(const int32_t token, s.sampler->sample(values));
        candidates_.push_back({b, token, beam.log_probability + double{values[static_cast<size_t>(token)]}});
      } else {
        gather(b, beam.log_probability, values, most);
      }
    }
    if (candidates_.empty()) return no_token();
    std::sort(candidates_.begin(), candidates_.end());
    const size_t tokens = length(s, s.beams.front().tokens) + 1;
    const bool last = tokens >= static_cast<size_t>(o_.max_tokens) ||
                      static_cast<int64_t>(s.beams.front().tokens.size()) + 1 > engine_.ctx();
    std::vector<Candidate> next;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& c = candidates_[i];
      if (!last && !ends(c.token)) {
        if (next.size() < beams_) next.push_back(c);
      } else if (i < beams_) {
        end(s, c, tokens);
      }
    }
    s.done = next.empty() || finished(s, next.front().log_probability, tokens);
    if (s.done) {
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
  size_t beams_, enough_ = 0;  // hypotheses that may end a search
  std::vector<Slice> slices_;
  std::vector<float> scores_;          // (vocab)
  std::vector<Candidate> candidates_;  // a heap with the worst in front
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
