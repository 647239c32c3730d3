#include "runtime/speech/decode.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>

#include "runtime/beam_search.h"
#include "runtime/speech/time_rule.h"
#include "runtime/token_rules.h"

namespace miao::runtime {

namespace {

constexpr double kLatestStart = 1;  // seconds into a window

class WindowDecoder {
 public:
  WindowDecoder(const SpeechModel& model, const Sequence& memory, std::span<const int32_t> prompt,
                const TranscribeOptions& options)
      : m_(model), o_(options), begun_(model.engine->new_sequence()) {
    input_.memory = &memory;
    input_.prefix.assign(prompt.begin(), prompt.end());
    TokenRuleOptions rules;
    rules.suppressed = m_.suppressed;
    rules.suppressed_first = m_.suppressed_first;
    rules_ = token_rules(rules);
    if (o_.timestamps) {
      const long latest = std::lround(kLatestStart / prep::WhisperTokens::kSeconds);
      rules_.push_back(time_rule(m_.tokens, static_cast<int32_t>(latest)));
    }
    const int64_t ctx = m_.engine->ctx();
    max_tokens_ = std::max<int64_t>(1, std::min(ctx / 2, ctx - std::ssize(prompt) + 1));
  }

  // Reads the prompt once for all temperatures, but for its last token.
  Result<void> begin() {
    const std::vector<int32_t>& prompt = input_.prefix;
    const auto start = static_cast<size_t>(std::find(prompt.begin(), prompt.end(), m_.tokens.sot()) - prompt.begin());
    const std::span<const int32_t> head = std::span(prompt).first(start + 1);
    MIAO_TRY(const Logits logits, m_.engine->forward(begun_, head, Want::last, input_.memory, o_.cancel));
    std::vector<float> scratch(static_cast<size_t>(logits.vocab()));
    MIAO_TRY(const float normaliser, m_.engine->log_sum_exp(logits.row(0), scratch));
    if (const auto id = m_.tokens.no_speech()) {
      no_speech_ = std::exp(double{logits.row(0)[static_cast<size_t>(*id)]} - double{normaliser});
    }
    if (head.size() == prompt.size()) {
      begun_.truncate(static_cast<int64_t>(start));
    } else if (head.size() + 1 < prompt.size()) {
      const std::span<const int32_t> rest = std::span(prompt).subspan(start + 1, prompt.size() - start - 2);
      MIAO_CHECK_OK(m_.engine->forward(begun_, rest, Want::none, input_.memory, o_.cancel));
    }
    if (begun_.size() > 0) input_.begun = &begun_;
    return {};
  }

  Result<WindowText> at(double temperature, uint64_t seed) {
    BeamOptions beam;
    beam.length_penalty = o_.length_penalty;
    beam.end_counts = false;
    beam.rules_first = true;
    beam.max_tokens = max_tokens_;
    beam.ends = {m_.tokens.eot()};
    beam.early = BeamOptions::Early::yes;
    size_t draws = 1;
    if (temperature == 0) {
      beam.beams = o_.beams;
      beam.patience = o_.patience;
    } else {
      beam.sampling = SamplerOptions{.temperature = static_cast<float>(temperature), .seed = seed};
      draws = static_cast<size_t>(o_.best_of);
    }
    std::vector<BeamInput> inputs(draws, input_);
    for (size_t i = 0; i < draws; ++i) inputs[i].number = i;
    MIAO_TRY(auto found, beam_search(*m_.engine, inputs, beam, rules_, o_.cancel));
    Hypothesis& best = std::ranges::max_element(found, {}, [](const auto& one) { return one[0].score; })->front();
    WindowText out;
    out.tokens = std::move(best.tokens);
    if (!out.tokens.empty() && out.tokens.back() == m_.tokens.eot()) out.tokens.pop_back();
    out.avg_log_probability = best.log_probability / static_cast<double>(out.tokens.size() + 1);
    out.compression_ratio = compression_ratio(speech_text(m_, out.tokens));
    out.no_speech = no_speech_;
    out.temperature = temperature;
    return out;
  }

 private:
  const SpeechModel& m_;
  const TranscribeOptions& o_;
  Sequence begun_;
  BeamInput input_;
  std::vector<TokenRule> rules_;
  int64_t max_tokens_ = 0;
  double no_speech_ = 0;
};

}  // namespace

double compression_ratio(const std::string& text) {
  uLongf size = compressBound(static_cast<uLong>(text.size()));
  std::vector<Bytef> out(size);
  compress(out.data(), &size, reinterpret_cast<const Bytef*>(text.data()), static_cast<uLong>(text.size()));
  return static_cast<double>(text.size()) / static_cast<double>(size);
}

std::string speech_text(const SpeechModel& model, std::span<const int32_t> tokens) {
  std::vector<int32_t> text;
  for (const int32_t token : tokens) {
    if (token < model.tokens.eot()) text.push_back(token);
  }
  return model.tokenizer->decode(text);
}

Result<WindowText> decode_window(const SpeechModel& model, const Sequence& memory, std::span<const int32_t> prompt,
                                 const TranscribeOptions& o, Rng& seeds) {
  WindowDecoder decoder(model, memory, prompt, o);
  MIAO_CHECK_OK(decoder.begin());
  std::vector<WindowText> tried, varied;  // varied: those that do not repeat themselves
  for (const double temperature : o.temperatures) {
    MIAO_TRY(WindowText text, decoder.at(temperature, temperature > 0 ? seeds.next() : 0));
    const bool repeats = o.max_compression_ratio && text.compression_ratio > *o.max_compression_ratio;
    const bool unlikely = o.min_log_probability && text.avg_log_probability < *o.min_log_probability;
    const bool silence = o.max_no_speech && text.no_speech > *o.max_no_speech && unlikely;
    if (silence || (!repeats && !unlikely)) return text;
    (repeats ? tried : varied).push_back(std::move(text));
  }
  std::vector<WindowText>& choice = varied.empty() ? tried : varied;
  WindowText best = std::move(*std::max_element(choice.begin(), choice.end(), [](const auto& a, const auto& b) {
    return a.avg_log_probability < b.avg_log_probability;
  }));
  best.temperature = o.temperatures.back();  // what was needed, for those who judge how far the text can be trusted
  return best;
}

}  // namespace miao::runtime
