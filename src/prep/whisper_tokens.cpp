// Whisper's control tokens; see whisper_tokens.h.
#include "prep/whisper_tokens.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace miao::prep {

namespace {

constexpr WhisperLanguage kLanguages[] = {
    {"en", "english"},        {"zh", "chinese"},       {"de", "german"},    {"es", "spanish"},    {"ru", "russian"},
    {"ko", "korean"},         {"fr", "french"},        {"ja", "japanese"},  {"pt", "portuguese"}, {"tr", "turkish"},
    {"pl", "polish"},         {"ca", "catalan"},       {"nl", "dutch"},     {"ar", "arabic"},     {"sv", "swedish"},
    {"it", "italian"},        {"id", "indonesian"},    {"hi", "hindi"},     {"fi", "finnish"},    {"vi", "vietnamese"},
    {"he", "hebrew"},         {"uk", "ukrainian"},     {"el", "greek"},     {"ms", "malay"},      {"cs", "czech"},
    {"ro", "romanian"},       {"da", "danish"},        {"hu", "hungarian"}, {"ta", "tamil"},      {"no", "norwegian"},
    {"th", "thai"},           {"ur", "urdu"},          {"hr", "croatian"},  {"bg", "bulgarian"},  {"lt", "lithuanian"},
    {"la", "latin"},          {"mi", "maori"},         {"ml", "malayalam"}, {"cy", "welsh"},      {"sk", "slovak"},
    {"te", "telugu"},         {"fa", "persian"},       {"lv", "latvian"},   {"bn", "bengali"},    {"sr", "serbian"},
    {"az", "azerbaijani"},    {"sl", "slovenian"},     {"kn", "kannada"},   {"et", "estonian"},   {"mk", "macedonian"},
    {"br", "breton"},         {"eu", "basque"},        {"is", "icelandic"}, {"hy", "armenian"},   {"ne", "nepali"},
    {"mn", "mongolian"},      {"bs", "bosnian"},       {"kk", "kazakh"},    {"sq", "albanian"},   {"sw", "swahili"},
    {"gl", "galician"},       {"mr", "marathi"},       {"pa", "punjabi"},   {"si", "sinhala"},    {"km", "khmer"},
    {"sn", "shona"},          {"yo", "yoruba"},        {"so", "somali"},    {"af", "afrikaans"},  {"oc", "occitan"},
    {"ka", "georgian"},       {"be", "belarusian"},    {"tg", "tajik"},     {"sd", "sindhi"},     {"gu", "gujarati"},
    {"am", "amharic"},        {"yi", "yiddish"},       {"lo", "lao"},       {"uz", "uzbek"},      {"fo", "faroese"},
    {"ht", "haitian creole"}, {"ps", "pashto"},        {"tk", "turkmen"},   {"nn", "nynorsk"},    {"mt", "maltese"},
    {"sa", "sanskrit"},       {"lb", "luxembourgish"}, {"my", "myanmar"},   {"bo", "tibetan"},    {"tl", "tagalog"},
    {"mg", "malagasy"},       {"as", "assamese"},      {"tt", "tatar"},     {"haw", "hawaiian"},  {"ln", "lingala"},
    {"ha", "hausa"},          {"ba", "bashkir"},       {"jw", "javanese"},  {"su", "sundanese"},  {"yue", "cantonese"}};

// English-only models stand on GPT-2's vocabulary, whose last piece is <|endoftext|>; that of the multilingual ones has
// as many pieces without it.
constexpr int32_t kEnglishEot = 50256;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

Result<int32_t> need(const Tokenizer& tokenizer, std::string_view piece) {
  if (const auto id = tokenizer.piece_to_id(piece)) return *id;
  return Error{Code::not_found, "the tokenizer has no " + std::string(piece) + "; is this a Whisper model?", {}};
}

}  // namespace

std::span<const WhisperLanguage> WhisperTokens::all_languages() { return kLanguages; }

const WhisperLanguage* WhisperTokens::language_named(std::string_view code_or_name) {
  const std::string wanted = lower(code_or_name);
  for (const WhisperLanguage& l : kLanguages) {
    if (l.code == wanted || l.name == wanted) return &l;
  }
  return nullptr;
}

Result<WhisperTokens> WhisperTokens::find(const Tokenizer& tokenizer) {
  WhisperTokens out;
  MIAO_TRY(out.eot_, need(tokenizer, "<|endoftext|>"));
  MIAO_TRY(out.sot_, need(tokenizer, "<|startoftranscript|>"));
  MIAO_TRY(out.translate_, need(tokenizer, "<|translate|>"));
  MIAO_TRY(out.transcribe_, need(tokenizer, "<|transcribe|>"));
  MIAO_TRY(out.no_timestamps_, need(tokenizer, "<|notimestamps|>"));
  out.sot_lm_ = tokenizer.piece_to_id("<|startoflm|>");
  out.sot_prev_ = tokenizer.piece_to_id("<|startofprev|>");
  out.no_speech_ = tokenizer.piece_to_id("<|nospeech|>");
  if (!out.no_speech_) out.no_speech_ = tokenizer.piece_to_id("<|nocaptions|>");
  out.first_timestamp_ = tokenizer.piece_to_id("<|0.00|>").value_or(out.no_timestamps_ + 1);
  out.multilingual_ = out.eot_ != kEnglishEot;
  for (const WhisperLanguage& l : kLanguages) {
    if (const auto id = tokenizer.piece_to_id("<|" + std::string(l.code) + "|>")) out.languages_.push_back({l, *id});
  }
  std::ranges::sort(out.languages_, {}, &Language::id);
  return out;
}

Result<int32_t> WhisperTokens::language_id(std::string_view code_or_name) const {
  if (const WhisperLanguage* wanted = language_named(code_or_name)) {
    for (const Language& l : languages_) {
      if (l.is.code == wanted->code) return l.id;
    }
    return Error{Code::not_found, "this version of Whisper has no token for " + std::string(wanted->name), {}};
  }
  return Error{Code::not_found,
               "Whisper knows no language \"" + std::string(code_or_name.substr(0, 40)) +
                   "\"; it takes codes of two letters, such as fr, or English names, such as french",
               {}};
}

const WhisperLanguage* WhisperTokens::language(int32_t id) const {
  const auto found = std::ranges::lower_bound(languages_, id, {}, &Language::id);
  return found == languages_.end() || found->id != id ? nullptr : &found->is;
}

Result<std::vector<int32_t>> WhisperTokens::build_prompt(std::string_view language, WhisperTask task,
                                                         bool timestamps) const {
  std::vector<int32_t> out = {sot_};
  if (multilingual_) {
    if (language.empty()) return Error{Code::invalid, "name the language of the speech, or detect it first", {}};
    MIAO_TRY(const int32_t id, language_id(language));
    out.push_back(id);
    out.push_back(task == WhisperTask::translate ? translate_ : transcribe_);
  } else {
    const WhisperLanguage* wanted = language_named(language);
    if (task == WhisperTask::translate || (!language.empty() && (!wanted || wanted->code != "en"))) {
      return Error{Code::unsupported, "this model transcribes English alone; take a multilingual Whisper", {}};
    }
  }
  if (!timestamps) out.push_back(no_timestamps_);
  return out;
}

int32_t WhisperTokens::timestamp(double seconds) const {
  const double steps = std::clamp(std::round(seconds / kSeconds), 0.0, static_cast<double>(kTimestamps - 1));
  return first_timestamp_ + (std::isnan(steps) ? 0 : static_cast<int32_t>(steps));
}

}  // namespace miao::prep
