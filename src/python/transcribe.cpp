// Model.transcribe: speech to text.
#include <algorithm>

#include "prep/audio.h"
#include "prep/whisper_tokens.h"
#include "python/convert.h"
#include "python/model.h"
#include "python/speech.h"
#include "python/stream.h"

namespace miao::python {

namespace {

using namespace nb::literals;

struct Said {
  runtime::TranscribeOptions options;
  int64_t rate = prep::kAudioRate;
};

std::string to_language(nb::handle object, const char* name) {
  std::string language = to_text(object, name);
  if (prep::WhisperTokens::language_named(language)) return language;
  raise({Code::invalid, "is '" + language + "'; give a code such as 'de' or an English name", name});
}

bool is_translate(nb::handle object, const char* name) {
  const std::string task = to_text(object, name);
  if (task == "transcribe" || task == "translate") return task == "translate";
  raise({Code::invalid, "is '" + task + "'; choose transcribe or translate", name});
}

double within(nb::handle object, const char* name, int low, int high) {
  const double number = to_number(object, name);
  if (number >= low && number <= high) return number;  // not so of NaN
  raise({Code::invalid, "must lie in " + std::to_string(low) + " .. " + std::to_string(high), name});
}

double to_patience(nb::handle object, const char* name) {
  const double patience = within(object, name, 0, 100);
  if (patience > 0) return patience;
  raise({Code::invalid, "must be over 0", name});
}

std::vector<double> to_temperatures(nb::handle object, const char* name) {
  constexpr int kMost = 100;
  if (!PySequence_Check(object.ptr()) || PyUnicode_Check(object.ptr())) return {within(object, name, 0, kMost)};
  std::vector<double> out;
  for (const nb::handle number : object) out.push_back(within(number, name, 0, kMost));
  if (out.empty()) raise({Code::invalid, "is empty", name});
  return out;
}

std::optional<double> to_threshold(nb::handle object, const char* name) {
  if (object.is_none()) return std::nullopt;
  return within(object, name, -1000000, 1000000);
}

struct Argument {
  const char* name;
  void (*set)(nb::handle value, const char* name, Said& out);
  bool knows_none = false;  // else None is as if it had not been given
};
constexpr Argument kArguments[] = {
    {"sample_rate", [](nb::handle v, const char* n, Said& o) { o.rate = to_integer(v, n, 1, INT32_MAX); }},
    {"language", [](nb::handle v, const char* n, Said& o) { o.options.language = to_language(v, n); }},
    {"task", [](nb::handle v, const char* n, Said& o) { o.options.translate = is_translate(v, n); }},
    {"timestamps", [](nb::handle v, const char* n, Said& o) { o.options.timestamps = to_bool(v, n); }},
    {"beams", [](nb::handle v, const char* n, Said& o) { o.options.beams = to_integer(v, n, 1, 256); }},
    {"patience", [](nb::handle v, const char* n, Said& o) { o.options.patience = to_patience(v, n); }},
    {"length_penalty",
     [](nb::handle v, const char* n, Said& o) { o.options.length_penalty = within(v, n, -100, 100); }},
    {"best_of", [](nb::handle v, const char* n, Said& o) { o.options.best_of = to_integer(v, n, 1, 256); }},
    {"temperature", [](nb::handle v, const char* n, Said& o) { o.options.temperatures = to_temperatures(v, n); }},
    {"seed", [](nb::handle v, const char* n, Said& o) { o.options.seed = to_seed(v, n); }},
    {"compression_ratio_threshold",
     [](nb::handle v, const char* n, Said& o) { o.options.max_compression_ratio = to_threshold(v, n); }, true},
    {"logprob_threshold",
     [](nb::handle v, const char* n, Said& o) { o.options.min_log_probability = to_threshold(v, n); }, true},
    {"no_speech_threshold", [](nb::handle v, const char* n, Said& o) { o.options.max_no_speech = to_threshold(v, n); },
     true},
    {"condition_on_previous_text", [](nb::handle v, const char* n, Said& o) { o.options.condition = to_bool(v, n); }},
    {"initial_prompt", [](nb::handle v, const char* n, Said& o) { o.options.prompt = to_text(v, n); }},
};

std::unique_ptr<SpeechStream> start(const Model& model, nb::handle audio, const nb::kwargs& arguments) {
  model.with("transcribe");
  Said said;
  for (const auto& [key, value] : arguments) {
    const std::string name = to_text(key, "the name of an argument");
    const auto* const found = std::find_if(std::begin(kArguments), std::end(kArguments),
                                           [&](const Argument& argument) { return name == argument.name; });
    if (found == std::end(kArguments)) raise_type_error("got an unexpected keyword argument '" + name + "'");
    if (!value.is_none() || found->knows_none) found->set(value, found->name, said);
  }
  const bool file = PyUnicode_Check(audio.ptr()) || PyBytes_Check(audio.ptr()) || nb::hasattr(audio, "__fspath__");
  if (!file) {
    return std::make_unique<SpeechStream>(model, Samples{to_samples(audio, "audio"), static_cast<int>(said.rate)},
                                          std::move(said.options));
  }
  if (arguments.contains("sample_rate")) raise({Code::invalid, "is for arrays: a file says it itself", "sample_rate"});
  return std::make_unique<SpeechStream>(model, to_path(audio), std::move(said.options));
}

#define DOC                                                                                                            \
  "What is said in a recording: a Transcript with text, language, and segments with their times.\n\n"                  \
  "audio: the path of a WAV, FLAC, Ogg or MP3 file, of up to 24 hours; or an array of floats within -1 .. 1, one "     \
  "channel, sample_rate of them a second.\n"                                                                           \
  "language: what is spoken, as code or English name; None = it is heard in the first 30 s with sound.\n"              \
  "task: 'translate' gives English.\n"                                                                                 \
  "timestamps: False gives one segment for each window of 30 s.\n"                                                     \
  "beams, patience, length_penalty: hypotheses that are followed at once, at temperature 0; beams * patience of "      \
  "them end a search; scores are log-probabilities / tokens ** length_penalty.\n"                                      \
  "temperature: a number, or several, each of which is tried where the one before failed: where the text's "           \
  "compression ratio is over compression_ratio_threshold (it repeats itself) or the mean log-probability of its "      \
  "tokens under logprob_threshold; None = 0, 0.2, 0.4, 0.6, 0.8, 1. Over 0 the best of best_of draws is taken, "       \
  "which the seed repeats.\n"                                                                                          \
  "no_speech_threshold: a window is silence where the probability of that is over it and the text is unlikely. "       \
  "None as a threshold switches it off.\n"                                                                             \
  "condition_on_previous_text: a window is told what was said before.\n"                                               \
  "initial_prompt: what was said before the first one: names, spelling, style.\n\n"                                    \
  "stream=True returns a SpeechStream, an iterator of Segments, each as soon as it is heard; False waits and returns " \
  "the Transcript."
#define SIGNATURE(stream, result)                                                                                \
  nb::sig(                                                                                                       \
      "def transcribe(self, audio: str | os.PathLike[str] | numpy.typing.NDArray[numpy.floating[typing.Any]], "  \
      "*, " stream                                                                                               \
      ", sample_rate: int = 16000, language: str | None = None, task: typing.Literal['transcribe', "             \
      "'translate'] = 'transcribe', timestamps: bool = True, beams: int = 5, patience: float = 1.0, "            \
      "length_penalty: float = 1.0, best_of: int = 5, temperature: float | collections.abc.Sequence[float] | "   \
      "None = None, seed: int = 0, compression_ratio_threshold: float | None = 2.4, logprob_threshold: float | " \
      "None = -1.0, no_speech_threshold: float | None = 0.6, condition_on_previous_text: bool = True, "          \
      "initial_prompt: str = '') -> " result)

}  // namespace

void bind_transcribe(ModelClass& model) {
  model.def(
      "transcribe",
      [](const Model& self, nb::object audio, Literal<false>, nb::kwargs arguments) {
        return to_python(start(self, audio, arguments)->transcript());
      },
      "audio"_a, nb::kw_only(), "stream"_a = false, "arguments"_a,
      SIGNATURE("stream: typing.Literal[False] = False", "miao.results.Transcript"), DOC);
  model.def(
      "transcribe",
      [](const Model& self, nb::object audio, Literal<true>, nb::kwargs arguments) {
        return start(self, audio, arguments);
      },
      "audio"_a, nb::kw_only(), "stream"_a, "arguments"_a, SIGNATURE("stream: typing.Literal[True]", "SpeechStream"));
}

}  // namespace miao::python
