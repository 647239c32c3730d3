#include "cli/speech/formats.h"

#include <fmt/format.h>

#include <cmath>

#include "base/json.h"

namespace miao::cli {

namespace {

// "01:02:03,456"; without hours "02:03.456" where they may be left out and are none.
std::string time_of(double seconds, char point, bool always_hours) {
  const auto all = static_cast<int64_t>(std::llround(seconds * 1000));
  const int64_t hours = all / 3'600'000;
  std::string out = always_hours || hours > 0 ? fmt::format("{:02}:", hours) : "";
  return out + fmt::format("{:02}:{:02}{}{:03}", all / 60'000 % 60, all / 1000 % 60, point, all % 1000);
}

// On one line, and without what stands for something in a format.
std::string one_line(std::string_view text, std::string_view from, std::string_view to) {
  const size_t first = text.find_first_not_of(' ');
  std::string out(first == std::string_view::npos ? std::string_view() : text.substr(first));
  for (char& c : out) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  for (size_t at = out.find(from); at != std::string::npos; at = out.find(from, at + to.size())) {
    out.replace(at, from.size(), to);
  }
  return out;
}

}  // namespace

const char* extension(SpeechFormat format) {
  switch (format) {
    case SpeechFormat::text:
      return ".txt";
    case SpeechFormat::srt:
      return ".srt";
    case SpeechFormat::vtt:
      return ".vtt";
    case SpeechFormat::tsv:
      return ".tsv";
    case SpeechFormat::json:
      break;
  }
  return ".json";
}

std::string_view speech_header(SpeechFormat format) {
  return format == SpeechFormat::vtt ? "WEBVTT\n\n" : format == SpeechFormat::tsv ? "start\tend\ttext\n" : "";
}

std::string speech_line(SpeechFormat format, const runtime::SpeechSegment& s, size_t number, bool times) {
  switch (format) {
    case SpeechFormat::srt:
      return fmt::format("{}\n{} --> {}\n{}\n\n", number + 1, time_of(s.start, ',', true), time_of(s.end, ',', true),
                         one_line(s.text, "-->", "->"));
    case SpeechFormat::vtt:
      return fmt::format("{} --> {}\n{}\n\n", time_of(s.start, '.', false), time_of(s.end, '.', false),
                         one_line(s.text, "-->", "->"));
    case SpeechFormat::tsv:
      return fmt::format("{}\t{}\t{}\n", std::llround(1000 * s.start), std::llround(1000 * s.end),
                         one_line(s.text, "\t", " "));
    default:
      break;
  }
  const std::string text = one_line(s.text, "\t", " ") + "\n";
  if (!times) return text;
  return fmt::format("[{} --> {}]  {}", time_of(s.start, '.', false), time_of(s.end, '.', false), text);
}

Json speech_json(const runtime::Transcript& t) {
  Json out;
  out["language"] = t.language.empty() ? Json() : Json(t.language);
  out["language_probability"] = t.language_probability;
  out["duration"] = t.seconds;
  out["text"] = t.text();
  out["segments"] = Json::array();
  for (size_t i = 0; i < t.segments.size(); ++i) {
    const runtime::SpeechSegment& s = t.segments[i];
    out["segments"].push_back(Json{{"id", i},
                                   {"start", s.start},
                                   {"end", s.end},
                                   {"text", s.text},
                                   {"tokens", s.tokens},
                                   {"temperature", s.temperature},
                                   {"avg_logprob", s.avg_log_probability},
                                   {"compression_ratio", s.compression_ratio},
                                   {"no_speech_prob", s.no_speech}});
  }
  return out;
}

}  // namespace miao::cli
