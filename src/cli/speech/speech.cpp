// See speech.h. On a terminal the text itself shows how far it is; where it goes elsewhere, a line on standard error.
#include "cli/speech/speech.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/chat/screen.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/speech/formats.h"
#include "cli/terminal.h"
#include "runtime/transcribe.h"

namespace miao::cli {

namespace fs = std::filesystem;

namespace {

SpeechFormat format_of(const std::string& name, bool json) {
  if (json || name == "json") return SpeechFormat::json;
  if (name == "srt") return SpeechFormat::srt;
  if (name == "vtt") return SpeechFormat::vtt;
  return name == "tsv" ? SpeechFormat::tsv : SpeechFormat::text;
}

// Where the transcript of each file goes; nothing where all go to standard output.
Result<std::vector<fs::path>> targets(const SpeechOptions& o, SpeechFormat format) {
  std::vector<fs::path> out;
  if (o.flags.output.empty()) return out;
  const fs::path output = o.flags.output;
  std::error_code error;
  const bool folder = o.files.size() > 1 || fs::is_directory(output, error) || o.flags.output.ends_with('/');
  if (!folder) {
    MIAO_CHECK_OK(replaceable(output));
    return std::vector<fs::path>{output};
  }
  fs::create_directories(output, error);
  if (error) return Error{Code::io, "cannot be made: " + error.message(), output.string()};
  std::set<fs::path> taken;
  for (const std::string& file : o.files) {
    out.push_back(output / (fs::path(file).stem().string() + extension(format)));
    if (!taken.insert(out.back()).second) {
      return Error{Code::invalid, "two inputs would be written there; rename one, or transcribe them one by one",
                   out.back().string()};
    }
    MIAO_CHECK_OK(replaceable(out.back()));
  }
  return out;
}

class Progress {
 public:
  explicit Progress(bool on) : on_(on) {}
  ~Progress() { clear(); }
  void update(const std::string& file, double done, double seconds) {
    if (!on_) return;
    const std::string line = fmt::format("{}  {} of {}", shorten(printable(fs::path(file).filename().string()), 40),
                                         human_seconds(done), human_seconds(seconds));
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    open_ = true;
  }
  void clear() {
    if (open_) std::fputs("\r\033[K", stderr);
    open_ = false;
  }

 private:
  bool on_, open_ = false;
};

class SpeechRun {
 public:
  SpeechRun(const SpeechOptions& o, const Common& common, const runtime::Transcriber& whisper)
      : o_(o),
        whisper_(whisper),
        format_(format_of(o.flags.format, common.json)),
        progress_(!common.quiet && is_tty(STDERR_FILENO) &&
                  (!o.flags.output.empty() || common.json || !is_tty(STDOUT_FILENO))) {
    t_.language = o.flags.language;
    t_.translate = o.flags.translate;
    t_.prompt = o.flags.prompt;
    t_.beams = o.search.beams.value_or(t_.beams);
    t_.length_penalty = o.search.length_penalty.value_or(t_.length_penalty);
    t_.seed = o.sampling.seed.value_or(t_.seed);
    t_.cancel = &interrupted();
    if (o.sampling.greedy) t_.temperatures = {0};
    if (o.sampling.temperature) {
      const auto least = static_cast<double>(*o.sampling.temperature);
      std::erase_if(t_.temperatures, [&](double t) { return t <= least; });
      t_.temperatures.insert(t_.temperatures.begin(), least);
    }
  }

  Result<void> run() {
    MIAO_TRY(targets_, targets(o_, format_));
    const double start = now_seconds();
    for (size_t i = 0; i < o_.files.size(); ++i) {
      auto done = file(i);
      progress_.clear();
      if (done.ok()) continue;
      if (done.error().code == Code::cancelled) return std::move(done.error());
      ++failed_;
      log_error(done.error().str());
      if (targets_.empty() && format_ == SpeechFormat::json) {
        results_.push_back(Json{{"file", o_.files[i]}, {"error", done.error().str()}});
      }
    }
    seconds_ = now_seconds() - start;
    return {};
  }

  size_t failed() const { return failed_; }
  bool json() const { return targets_.empty() && format_ == SpeechFormat::json; }
  Json results() { return std::move(results_); }
  double audio() const { return audio_; }
  double seconds() const { return seconds_; }

 private:
  Result<void> file(size_t i) {
    const std::string& name = o_.files[i];
    std::string text(speech_header(format_));
    size_t number = 0;
    const bool direct = targets_.empty() && format_ != SpeechFormat::json;
    if (direct && o_.files.size() > 1) screen_.show((i > 0 ? "\n==> " : "==> ") + printable(name) + " <==\n");
    if (direct) screen_.show(text);
    t_.on_progress = [&](double done, double seconds) { progress_.update(name, done, seconds); };
    t_.on_segment = [&](const runtime::SpeechSegment& segment) {
      if (format_ == SpeechFormat::json) return;
      const std::string line = speech_line(format_, segment, number++, o_.flags.timestamps);
      progress_.clear();
      if (direct) {
        screen_.show(line);
      } else {
        text += line;
      }
    };
    MIAO_TRY(const runtime::Transcript transcript, whisper_.run_file(name, t_));
    audio_ += transcript.seconds;
    log_info(name + ": " + (transcript.language.empty() ? "silence" : "language " + transcript.language));
    if (format_ == SpeechFormat::json) {
      Json entry{{"file", name}};
      entry.update(speech_json(transcript));
      if (targets_.empty()) results_.push_back(std::move(entry));
      if (!targets_.empty()) text = dump_json(entry, 2) + "\n";
    }
    if (!targets_.empty()) MIAO_CHECK_OK(write_file_atomic(targets_[i], text));
    return {};
  }

  const SpeechOptions& o_;
  const runtime::Transcriber& whisper_;
  SpeechFormat format_;
  Progress progress_;
  Screen screen_;
  runtime::TranscribeOptions t_;
  std::vector<fs::path> targets_;
  Json results_ = Json::array();
  size_t failed_ = 0;
  double audio_ = 0, seconds_ = 0;
};

}  // namespace

bool could_be_audio(std::span<const std::string> inputs) {
  constexpr std::string_view kEndings[] = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".webm"};
  return std::ranges::any_of(inputs, [&](const std::string& input) {
    const bool named = std::ranges::any_of(kEndings, [&](std::string_view e) { return input.ends_with(e); });
    std::error_code error;
    return named || fs::is_regular_file(input, error);
  });
}

Result<int> run_speech(const SpeechOptions& o, const Common& common, const fs::path& path) {
  runtime::EngineOptions options = o.engine.options();
  options.ctx = 0;  // of both sides: Whisper's windows have one size
  MIAO_TRY(const auto engine, open_engine(path, options));
  MIAO_TRY(const runtime::Transcriber whisper, runtime::Transcriber::of(*engine));
  SpeechRun work(o, common, whisper);
  MIAO_CHECK_OK(work.run());
  const double times = work.seconds() > 0 ? work.audio() / work.seconds() : 0;
  if (work.json()) {
    Json object;
    object["model"] = o.model;
    object["isa"] = engine->isa();
    object["threads"] = engine->pool().threads();
    object["results"] = work.results();
    object["audio_seconds"] = work.audio();
    object["seconds"] = work.seconds();
    object["real_time"] = times;
    object["load_ms"] = 1e3 * engine->load_seconds();
    object["peak_rss_bytes"] = peak_rss_bytes();
    out().line(dump_json(object));
  } else if (!common.quiet) {
    const std::string line =
        fmt::format("{} {}, {:.1f} s of audio in {:.2f} s, {:.1f} x real time | load {:.2f} s | peak {}",
                    o.files.size(), o.files.size() == 1 ? "file" : "files", work.audio(), work.seconds(), times,
                    engine->load_seconds(), human_bytes(peak_rss_bytes()));
    std::fprintf(stderr, "%s\n", Style(STDERR_FILENO).dim(line).c_str());
  }
  return static_cast<int>(work.failed() > 0 ? kFailed : kOk);
}

}  // namespace miao::cli
