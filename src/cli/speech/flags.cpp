// The flags of speech.
#include "cli/checks.h"
#include "cli/speech/speech.h"
#include "prep/whisper_tokens.h"

namespace miao::cli {

void add_speech_flags(CLI::App& app, SpeechFlags& flags) {
  constexpr const char* kGroup = "Speech";
  const auto known = [](std::string& text) {
    const bool found = prep::WhisperTokens::language_named(text) != nullptr;
    return found ? "" : "'" + text + "' is no language that Whisper knows: give a code such as de, or an English name";
  };
  app.add_option("--language", flags.language, "What is spoken, as code or English name; else it is heard")
      ->check(CLI::Validator(known, ""))
      ->type_name("LANGUAGE")
      ->group(kGroup);
  app.add_flag("--translate", flags.translate, "Into English")->group(kGroup);
  app.add_option("--format", flags.format, "text, srt or vtt (subtitles), tsv (milliseconds), json")
      ->check(CLI::IsMember({"text", "srt", "vtt", "tsv", "json"}))
      ->type_name("FORMAT")
      ->group(kGroup);
  app.add_flag("--timestamps", flags.timestamps, "Times in front of the lines of text")->group(kGroup);
  app.add_option("--output", flags.output, "A file, or a folder with a file for each input, instead of standard output")
      ->check(not_empty())
      ->type_name("PATH")
      ->group(kGroup);
  app.add_option("--initial-prompt", flags.prompt, "What was said before: names, spelling, style")
      ->type_name("TEXT")
      ->group(kGroup);
}

}  // namespace miao::cli
