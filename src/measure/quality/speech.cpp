// See quality.h: word error rates of recordings.
#include <algorithm>
#include <string>

#include "measure/quality.h"
#include "measure/quality/summary.h"
#include "measure/quality/words.h"
#include "runtime/engine.h"
#include "runtime/transcribe.h"

namespace miao::measure {

namespace {

using Words = std::vector<std::string>;

Result<std::vector<int64_t>> errors_of(runtime::Engine& engine, std::span<const Recording> recordings,
                                       const std::vector<Words>& said, const std::string& language,
                                       const QualityRun& run, int64_t before, int64_t total) {
  MIAO_TRY(const runtime::Transcriber transcriber, runtime::Transcriber::of(engine));
  runtime::TranscribeOptions options{.language = language};
  options.cancel = run.stop;
  std::vector<int64_t> out;
  for (size_t i = 0; i < recordings.size(); ++i) {
    MIAO_TRY(const runtime::Transcript heard, transcriber.run_file(recordings[i].audio, options));
    out.push_back(word_errors(said[i], words_of(heard.text())));
    if (run.progress) run.progress(before + static_cast<int64_t>(i) + 1, total);
  }
  return out;
}

}  // namespace

Result<SpeechRecords> measure_speech(runtime::Engine& model, runtime::Engine* base,
                                     std::span<const Recording> recordings, const std::string& language,
                                     const QualityRun& run) {
  if (recordings.empty()) return Error{Code::invalid, "there are no recordings", {}};
  SpeechRecords out;
  out.paired = base != nullptr;
  std::vector<Words> said;
  for (const Recording& r : recordings) {
    said.push_back(words_of(r.text));
    if (said.back().empty()) return Error{Code::invalid, "its reference has no words", r.audio};
    out.words.push_back(static_cast<int64_t>(said.back().size()));
  }
  const auto count = static_cast<int64_t>(recordings.size());
  const int64_t total = base ? 2 * count : count;
  MIAO_TRY(out.errors, errors_of(model, recordings, said, language, run, 0, total));
  if (base) {
    MIAO_TRY(out.base_errors, errors_of(*base, recordings, said, language, run, count, total));
  }
  return out;
}

Quality summarise(const SpeechRecords& r, double level) {
  Quality out;
  out.task = "speech";
  out.unit = "recording";
  out.item = "word";
  out.units = static_cast<int64_t>(r.words.size());
  for (const int64_t n : r.words) out.items += n;
  out.paired = r.paired;
  out.level = level;
  const std::vector<double> words(r.words.begin(), r.words.end()), errors(r.errors.begin(), r.errors.end());
  out.metrics.push_back(resampled(out, "wer", "word error rate", weighted_mean(errors, words), Metric::Form::percent));
  out.notes.emplace_back("words are compared in lower case and without punctuation");
  if (!r.paired) return out;
  const std::vector<double> others(r.base_errors.begin(), r.base_errors.end());
  out.metrics.push_back(
      resampled(out, "base_wer", "word error rate of the base", weighted_mean(others, words), Metric::Form::percent));
  std::vector<double> rise(errors.size());
  int64_t changed = 0;
  for (size_t i = 0; i < rise.size(); ++i) {
    rise[i] = errors[i] - others[i];
    changed += rise[i] != 0;
  }
  const auto rate = weighted_mean(rise, words);
  out.metrics.push_back(resampled(out, "wer_rise", "rise of the word error rate", rate, Metric::Form::percent));
  out.metrics.push_back(
      {"changed", "recordings with another number of errors", static_cast<double>(changed), {}, Metric::Form::count});
  out.losses.push_back(resampled_share_loss(out, "wer", rate, out.items));
  return out;
}

}  // namespace miao::measure
