// miao run on models of speech: audio files to text.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/chat/sampling_flags.h"
#include "cli/engine_flags.h"
#include "cli/seq2seq/search_flags.h"
#include "cli/verb.h"

namespace miao::cli {

struct SpeechFlags {
  std::string language, format = "text", output, prompt;
  bool translate = false, timestamps = false;
};
void add_speech_flags(CLI::App& app, SpeechFlags& flags);

struct SpeechOptions {
  std::string model;  // as the user called it
  std::vector<std::string> files;
  SpeechFlags flags;
  SearchFlags search;
  SamplingFlags sampling;
  EngineFlags engine;
};

// Whether these could be audio files, by their names or because they are there: then the model says what they are.
bool could_be_audio(std::span<const std::string> inputs);

// One transcript a file, in their order, on standard output as they come or in files. One that cannot be read is
// reported and the others are transcribed.
Result<int> run_speech(const SpeechOptions& o, const Common& common, const std::filesystem::path& path);

}  // namespace miao::cli
