// Transcriber: speech to text with a Whisper model, as openai-whisper and faster-whisper do it.
//
//   MIAO_TRY(const Transcriber whisper, Transcriber::of(*engine));
//   MIAO_TRY(const Transcript talk, whisper.run_file("talk.flac", {.language = "en"}));
//   for (const SpeechSegment& s : talk.segments) ...           // s.start, s.end, s.text
//
//   recording | windows of 30 s: features, encoder | beam search under the rule of times; drawn again at a higher
//   temperature where the result repeats itself or is unlikely | segments | the next window begins where the last
//   segment ended
//
// Memory does not grow with the length of a file. Results are a function of the input and the options.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/speech/model.h"

namespace miao::runtime {

struct SpeechSegment {
  double start = 0, end = 0;  // seconds
  std::string text;           // with the blank in front that most languages have
  std::vector<int32_t> tokens;
  // Of the whole window that the segment is from.
  double avg_log_probability = 0;  // of a token
  double compression_ratio = 0;    // of the text by zlib: high where it repeats itself
  double no_speech = 0;            // probability that nobody speaks
  double temperature = 0;          // at which it was decoded
};

struct Transcript {
  std::string language;             // code: "en"; empty where there was nothing but silence
  double language_probability = 0;  // 1 where the language was given
  double seconds = 0;               // of the audio
  std::vector<SpeechSegment> segments;

  std::string text() const;  // of all segments, without blanks around it
};

struct TranscribeOptions {
  std::string language;    // code or English name; empty: that of the first window with sound
  bool translate = false;  // into English
  bool timestamps = true;  // false: one segment a window of 30 s
  int64_t beams = 5;       // at temperature 0
  double patience = 1;     // beams * patience hypotheses end a search
  double length_penalty = 1;
  int64_t best_of = 5;                                            // draws at other temperatures
  std::vector<double> temperatures = {0, 0.2, 0.4, 0.6, 0.8, 1};  // each tried where the one before failed
  uint64_t seed = 0;                                              // of draws
  // A window is decoded again where its text compresses better than this or its log-probability is below that.
  std::optional<double> max_compression_ratio = 2.4, min_log_probability = -1;
  std::optional<double> max_no_speech = 0.6;  // above it, an unlikely text is taken for silence
  bool condition = true;                      // on what was said before
  std::string prompt;                         // what was said before the first window: names, spelling, style
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(const SpeechSegment&)> on_segment;          // as soon as it is known
  std::function<void(double done, double seconds)> on_progress;  // after each window
};

// Whether this is a model that a Transcriber takes, from its headers alone.
Result<bool> is_speech_model(const std::filesystem::path& path);

class Transcriber {
 public:
  // The Engine has to outlive it. Errors: unsupported for a model that is not Whisper, and what is wrong with its
  // tokenizer or configuration.
  static Result<Transcriber> of(Engine& engine);

  // Samples at 16,000 a second. Errors: invalid for options that make no sense, a language that the model lacks, and
  // audio of less than 0.1 s; cancelled.
  Result<Transcript> run(std::span<const float> samples, const TranscribeOptions& options = {}) const;
  // WAV, FLAC, Ogg or MP3 (prep/audio.h), of up to 24 hours. It is read twice; one that is damaged is refused before
  // anything is transcribed.
  Result<Transcript> run_file(const std::filesystem::path& path, const TranscribeOptions& options = {}) const;

  const SpeechModel& model() const { return model_; }  // its languages

 private:
  explicit Transcriber(SpeechModel model) : model_(std::move(model)) {}

  SpeechModel model_;
};

}  // namespace miao::runtime
