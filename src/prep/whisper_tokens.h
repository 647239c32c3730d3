// Whisper's control tokens: their ids, the prompt of a transcription, timestamps, and the languages it knows.
//
//   prompt      <|startoftranscript|> <|fr|> <|transcribe|> [<|notimestamps|>]      multilingual models
//               <|startoftranscript|> [<|notimestamps|>]                            English-only models
//   timestamps  one id each 0.02 s from <|0.00|> to <|30.00|>; behind <|notimestamps|>, also where the tokenizer's file
//               does not list them
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "prep/tokenizer.h"

namespace miao::prep {

enum class WhisperTask { transcribe, translate };

struct WhisperLanguage {
  std::string_view code, name;  // "fr", "french"
};

class WhisperTokens {
 public:
  struct Language {
    WhisperLanguage is;
    int32_t id;
  };

  // not_found: the tokenizer has no tokens of Whisper.
  static Result<WhisperTokens> find(const Tokenizer& tokenizer);
  // All that some version of Whisper knows, in the order of their ids. Null: no such code or name.
  static std::span<const WhisperLanguage> all_languages();
  static const WhisperLanguage* language_named(std::string_view code_or_name);

  int32_t eot() const { return eot_; }
  int32_t sot() const { return sot_; }
  int32_t translate() const { return translate_; }
  int32_t transcribe() const { return transcribe_; }
  int32_t no_timestamps() const { return no_timestamps_; }
  std::optional<int32_t> sot_lm() const { return sot_lm_; }
  std::optional<int32_t> sot_prev() const { return sot_prev_; }    // before the text of the window before
  std::optional<int32_t> no_speech() const { return no_speech_; }  // <|nospeech|>, or <|nocaptions|> in older files

  bool multilingual() const { return multilingual_; }
  std::span<const Language> languages() const { return languages_; }  // ascending ids
  // Of a code or a name. not_found: the model does not have it.
  Result<int32_t> language_id(std::string_view code_or_name) const;
  const WhisperLanguage* language(int32_t id) const;  // null: not a language token

  // What the decoder starts from. `language`: a code or a name; an English-only model takes English or none.
  Result<std::vector<int32_t>> build_prompt(std::string_view language, WhisperTask task, bool timestamps) const;

  static constexpr int32_t kTimestamps = 1501;
  static constexpr double kSeconds = 0.02;  // between two timestamps
  int32_t first_timestamp() const { return first_timestamp_; }
  int32_t last_timestamp() const { return first_timestamp_ + kTimestamps - 1; }
  bool is_timestamp(int32_t id) const { return id >= first_timestamp_ && id <= last_timestamp(); }
  double seconds(int32_t id) const { return (id - first_timestamp_) * kSeconds; }  // of a timestamp
  int32_t timestamp(double seconds) const;                                         // the nearest one

 private:
  int32_t eot_ = 0, sot_ = 0, translate_ = 0, transcribe_ = 0, no_timestamps_ = 0, first_timestamp_ = 0;
  std::optional<int32_t> sot_lm_, sot_prev_, no_speech_;
  bool multilingual_ = true;
  std::vector<Language> languages_;
};

}  // namespace miao::prep
