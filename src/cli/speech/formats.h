// How a transcript is written: plain text, subtitles (SubRip, WebVTT), tables, JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "runtime/transcribe.h"

namespace miao::cli {

enum class SpeechFormat { text, srt, vtt, tsv, json };
const char* extension(SpeechFormat format);  // ".srt"

// What stands in front of all segments, and one segment; `number` from 0. `times`: of text too. Not for JSON.
std::string_view speech_header(SpeechFormat format);
std::string speech_line(SpeechFormat format, const runtime::SpeechSegment& segment, size_t number, bool times);

nlohmann::ordered_json speech_json(const runtime::Transcript& transcript);

}  // namespace miao::cli
