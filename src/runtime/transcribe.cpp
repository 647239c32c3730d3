#include "runtime/transcribe.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "io/checkpoint.h"
#include "models/model.h"
#include "runtime/speech/decode.h"
#include "runtime/speech/features.h"
#include "runtime/speech/segments.h"

namespace miao::runtime {

namespace {

constexpr double kFrame = 0.01;              // seconds
constexpr int64_t kLeast = 1600;             // samples: 0.1 s
constexpr double kTrustedTemperature = 0.5;  // what was said at a higher one is no prompt

std::string_view trimmed(std::string_view text) {
  constexpr const char* kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

Result<void> check(const TranscribeOptions& o) {
  if (o.temperatures.empty()) return Error{Code::invalid, "give at least one temperature", {}};
  for (const double t : o.temperatures) {
    if (!(t >= 0 && t <= 100)) return Error{Code::invalid, "a temperature is not within 0 to 100", {}};
  }
  if (o.best_of < 1 || o.best_of > 256) {
    return Error{Code::invalid, std::to_string(o.best_of) + " draws are not within 1 to 256", {}};
  }
  return {};
}

// One run over a recording.
class Transcription {
 public:
  Transcription(const SpeechModel& model, SpeechFeatures features, const TranscribeOptions& options)
      : m_(model), features_(std::move(features)), o_(options), seeds_(options.seed) {}

  Result<Transcript> run() {
    out_.seconds = static_cast<double>(features_.samples()) / prep::kAudioRate;
    MIAO_CHECK_OK(choose_language());
    if (!trimmed(o_.prompt).empty()) {
      MIAO_TRY(said_, m_.tokenizer->encode(" " + std::string(trimmed(o_.prompt)),
                                           {.add_special = false, .parse_special = false}));
    }
    for (int64_t frame = 0; frame < features_.frames();) {
      if (o_.cancel && o_.cancel->load()) return Error{Code::cancelled, "interrupted", {}};
      MIAO_TRY(const int64_t read, window(frame));
      frame += read;
      const double done = static_cast<double>(std::min(frame, features_.frames())) * kFrame;
      if (o_.on_progress) o_.on_progress(done, out_.seconds);
    }
    return std::move(out_);
  }

 private:
  Result<void> choose_language() {
    if (m_.tokens.multilingual() && o_.language.empty()) return {};
    MIAO_CHECK_OK(begin_prompt(o_.language));
    set_language(o_.language.empty() ? "en" : prep::WhisperTokens::language_named(o_.language)->code, 1);
    return {};
  }
  void set_language(std::string_view code, double probability) {
    out_.language = code;
    out_.language_probability = probability;
  }
  Result<void> begin_prompt(std::string_view language) {
    const auto task = o_.translate ? prep::WhisperTask::translate : prep::WhisperTask::transcribe;
    MIAO_TRY(begin_, m_.tokens.build_prompt(language, task, o_.timestamps));
    return {};
  }

  // By the first token that the decoder expects.
  Result<void> detect_language(const Sequence& memory) {
    Sequence sequence = m_.engine->new_sequence();
    const int32_t start = m_.tokens.sot();
    MIAO_TRY(const Logits logits, m_.engine->forward(sequence, {&start, 1}, Want::last, &memory, o_.cancel));
    const std::span<const float> row = logits.row(0);
    const auto value = [&](const prep::WhisperTokens::Language& l) { return double{row[static_cast<size_t>(l.id)]}; };
    const std::span<const prep::WhisperTokens::Language> all = m_.tokens.languages();
    if (all.empty()) return Error{Code::unsupported, "the tokenizer lists no languages; name one", {}};
    const auto& best = *std::ranges::max_element(all, {}, value);
    double sum = 0;
    for (const auto& language : all) sum += std::exp(value(language) - value(best));
    set_language(best.is.code, 1 / sum);
    return begin_prompt(best.is.code);
  }

  std::vector<int32_t> prompt() const {
    std::vector<int32_t> out;
    if (m_.tokens.sot_prev() && said_.size() > prompt_from_) {
      const auto most = static_cast<size_t>(std::max<int64_t>(0, m_.engine->ctx() / 2 - 1));
      const size_t count = std::min(said_.size() - prompt_from_, most);
      out.push_back(*m_.tokens.sot_prev());
      out.insert(out.end(), said_.end() - static_cast<std::ptrdiff_t>(count), said_.end());
    }
    out.insert(out.end(), begin_.begin(), begin_.end());
    return out;
  }

  // Returns the number of frames after which the next window begins.
  Result<int64_t> window(int64_t first) {
    MIAO_TRY(const std::span<const float> features, features_.window(first));
    const int64_t frames = std::min(SpeechFeatures::kWindow, features_.frames() - first);
    if (features_.silent()) return frames;
    const EncoderInput input{.ids = {}, .types = {}, .features = features};
    MIAO_TRY(const std::vector<Sequence> memory, m_.engine->encode({&input, 1}, o_.cancel));
    if (begin_.empty()) MIAO_CHECK_OK(detect_language(memory[0]));
    MIAO_TRY(const WindowText text, decode_window(m_, memory[0], prompt(), o_, seeds_));
    const bool unlikely = !o_.min_log_probability || text.avg_log_probability <= *o_.min_log_probability;
    if (o_.max_no_speech && text.no_speech > *o_.max_no_speech && unlikely) return frames;

    WindowSegments found{{{0, frames, text.tokens}}, frames};
    if (o_.timestamps) found = split_at_times(text.tokens, frames, m_.tokens);
    for (const TimedTokens& piece : found.segments) add(piece, first, text);
    if (!o_.condition || text.temperature > kTrustedTemperature) prompt_from_ = said_.size();
    return found.read;
  }

  void add(const TimedTokens& piece, int64_t first, const WindowText& window) {
    SpeechSegment s;
    s.text = speech_text(m_, piece.tokens);
    if (piece.start == piece.end || trimmed(s.text).empty()) return;
    s.start = static_cast<double>(first + piece.start) * kFrame;
    s.end = static_cast<double>(first + piece.end) * kFrame;
    s.tokens.assign(piece.tokens.begin(), piece.tokens.end());
    s.avg_log_probability = window.avg_log_probability;
    s.compression_ratio = window.compression_ratio;
    s.no_speech = window.no_speech;
    s.temperature = window.temperature;
    said_.insert(said_.end(), s.tokens.begin(), s.tokens.end());
    if (o_.on_segment) o_.on_segment(s);
    out_.segments.push_back(std::move(s));
  }

  const SpeechModel& m_;
  SpeechFeatures features_;
  const TranscribeOptions& o_;
  Rng seeds_;
  std::vector<int32_t> begin_;  // of a transcript: language and task; empty while the language is not known
  std::vector<int32_t> said_;   // the prompt and all segments
  size_t prompt_from_ = 0;      // of said_, what the next window is told
  Transcript out_;
};

Result<Transcript> transcribe(const SpeechModel& model, Recording recording, const TranscribeOptions& o) {
  MIAO_CHECK_OK(check(o));
  MIAO_TRY(SpeechFeatures features,
           SpeechFeatures::of(std::move(recording), model.bins, model.engine->pool(), o.cancel));
  if (features.samples() < kLeast) {
    return Error{Code::invalid, "is shorter than 0.1 s; give audio that somebody speaks in", {}};
  }
  return Transcription(model, std::move(features), o).run();
}

}  // namespace

std::string Transcript::text() const {
  std::string out;
  for (const SpeechSegment& s : segments) out += s.text;
  return std::string(trimmed(out));
}

Result<bool> is_speech_model(const std::filesystem::path& path) {
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(path));
  return models::reads_audio(checkpoint);
}

Result<Transcriber> Transcriber::of(Engine& engine) {
  MIAO_TRY(SpeechModel model, SpeechModel::of(engine));
  return Transcriber(std::move(model));
}

Result<Transcript> Transcriber::run(std::span<const float> samples, const TranscribeOptions& options) const {
  for (size_t i = 0; i < samples.size(); ++i) {
    if (std::isfinite(samples[i])) continue;
    return Error{
        Code::invalid, "sample " + std::to_string(i) + " is not a number; record or convert the audio again", {}};
  }
  return transcribe(model_, Recording(samples), options);
}

Result<Transcript> Transcriber::run_file(const std::filesystem::path& path, const TranscribeOptions& options) const {
  MIAO_TRY(Recording recording, Recording::open(path));
  auto out = transcribe(model_, std::move(recording), options);
  if (!out.ok() && out.error().where.empty()) return std::move(out.error()).at(path.string());
  return out;
}

}  // namespace miao::runtime
