// miao run: one answer, or a chat at the terminal.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdio>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/chat/conversation.h"
#include "cli/chat/figures.h"
#include "cli/chat/likelihood.h"
#include "cli/chat/line_editor.h"
#include "cli/chat/sampling_flags.h"
#include "cli/chat/screen.h"
#include "cli/chat/session.h"
#include "cli/checks.h"
#include "cli/encode/texts.h"
#include "cli/engine_flags.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/seq2seq/answers.h"
#include "cli/speech/speech.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "models/spec.h"
#include "runtime/defaults.h"
#include "runtime/transcribe.h"

namespace miao::cli {

extern const Verb verb_run;

namespace {

struct Options {
  ModelArgument model;
  std::vector<std::string> inputs;  // a decoder takes one at most
  bool truncate = false, lines = false;
  EncodeOptions encode;  // of encoders
  std::string explain;   // "" without the flag, "true" without a file

  Explain explained() const { return {!explain.empty(), explain == "true" ? "" : explain}; }
  SearchFlags search;
  SpeechFlags speech;
  std::string system, form_file;
  bool raw = false, control = false, ignore_end = false, no_history = false;
  int64_t max_tokens = -1;
  // Flags that mean something to some kinds of models alone.
  using Flags = std::vector<const CLI::Option*>;
  Flags of_chat, of_texts, of_encoders, of_explain, of_search, of_speech, of_sampling, of_writers;
  std::vector<std::string> stop;
  SamplingFlags sampling;
  EngineFlags engine;

  std::optional<std::string> prompt() const { return inputs.empty() ? std::nullopt : std::optional(inputs[0]); }
};

// The template of the conversation: a file, the model's own, or none (raw text).
Result<std::optional<prep::ChatTemplate>> choose_template(const Options& o, const runtime::Engine& engine) {
  using Form = std::optional<prep::ChatTemplate>;
  if (o.raw) return Form();
  if (!o.form_file.empty()) {
    MIAO_TRY(const std::string source, read_file(o.form_file, 16 << 20));
    MIAO_TRY(prep::ChatTemplate form, prep::ChatTemplate::parse(source, o.form_file));
    return Form(std::move(form));
  }
  auto own = engine.chat_template();
  if (!own.ok()) {
    own.error().message += "; give another with --template, or continue plain text with --raw";
    return own.error();
  }
  if (*own) return Form(**own);
  if (!o.system.empty()) {
    return Error{Code::invalid, "this model has no chat template; give one with --template, or leave out --system",
                 "--system"};
  }
  log_info("the model has no chat template: the prompt is continued as raw text");
  return Form();
}

Result<int> answer_once(const Options& o, const Common& common, runtime::Engine& engine, Conversation conversation,
                        runtime::GenerateOptions generate, std::string prompt) {
  conversation.add("user", std::move(prompt));
  MIAO_TRY(const std::vector<int32_t> ids, conversation.ids());
  generate.cancel = &interrupted();
  runtime::Generator generator(engine);
  Screen screen;
  const auto show = [&](std::string_view piece) {
    if (!common.json) screen.show(piece);
  };
  const auto result = generator.run(ids, generate, show);
  if (!common.json) screen.end();
  if (!result.ok()) return result.error();
  const Figures cost = figures(engine, result->stats);
  MIAO_TRY(const prep::Tokenizer* const tokenizer, engine.tokenizer());
  Likelihoods likely;
  // What was interrupted is not looked at again.
  if (o.explained().wanted && result->reason != runtime::StopReason::cancelled) {
    std::vector<int32_t> all = ids;
    all.insert(all.end(), result->tokens.begin(), result->tokens.end());
    MIAO_TRY(likely, runtime::likelihoods(engine, all, static_cast<int64_t>(ids.size()), kExplainBest, nullptr,
                                          &interrupted()));
    if (const std::string file = o.explained().file; !file.empty()) {
      MIAO_CHECK_OK(
          write_likelihood_page(file, o.model.ref, likelihood_html(*tokenizer, likely, conversation.back().content)));
    } else if (!common.json) {
      out().write("\n" + likelihood_text(*tokenizer, likely));
    }
  }
  if (common.json) {
    Json object;
    object["text"] = result->text;
    object["stop_reason"] = runtime::stop_reason_name(result->reason);
    if (!result->stop.empty()) object["stop"] = result->stop;
    object["tokens"] = result->tokens;
    object["seed"] = result->seed;
    cost.add_to(object);
    if (o.explained().wanted) object["likelihood"] = likelihood_json(*tokenizer, likely);
    object["model"] = o.model.ref;
    object["isa"] = engine.isa();
    object["threads"] = engine.pool().threads();
    out().line(dump_json(object));
  } else if (!common.quiet) {
    if (result->reason == runtime::StopReason::context_full) {
      log_warn("the context of " + std::to_string(engine.ctx()) + " tokens is full; --ctx makes it larger");
    }
    std::fprintf(stderr, "%s\n", Style(STDERR_FILENO).dim(cost.line()).c_str());
  }
  return static_cast<int>(result->reason == runtime::StopReason::cancelled ? kInterrupted : kOk);
}

// Where standard input stays open and silent, as under some job runners, its reader would seem to hang.
void say_what_is_waited_for() {
  constexpr int kPatience = 2000;  // milliseconds
  pollfd input{STDIN_FILENO, POLLIN, 0};
  if (::poll(&input, 1, kPatience) == 0) {
    log_warn("waiting for the end of standard input, which goes before the prompt; < /dev/null leaves it out");
  }
}

// The argument, standard input, or both: what is piped in goes before the argument, as in ollama and llm.
Result<std::string> read_prompt(const Options& o) {
  const std::optional<std::string> given = o.prompt();
  const bool both = given && *given != "-";
  const bool closed = ::fcntl(STDIN_FILENO, F_GETFD) < 0;
  if (both && (closed || is_tty(STDIN_FILENO))) return *given;
  if (both) say_what_is_waited_for();
  MIAO_TRY(std::string text, read_input("-"));
  if (!both) return text;
  text.erase(text.find_last_not_of("\r\n") + 1);
  return text.empty() ? *given : text + "\n\n" + *given;
}

bool blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

// What an encoder works on: the arguments, or each line of what was piped in.
std::vector<std::string> texts_of(const Options& o, const std::string& prompt) {
  const bool piped = o.inputs.empty() || o.inputs == std::vector<std::string>{"-"};
  if (piped && o.encode.question) return {prompt};  // a text that is searched for answers
  return piped ? lines_of(prompt) : o.inputs;
}

// An Error that names a flag which was given and means nothing to this model.
Result<void> none_of(const std::vector<Options::Flags>& groups, const char* model) {
  for (const Options::Flags& flags : groups) {
    for (const CLI::Option* option : flags) {
      if (option->count() == 0) continue;
      return Error{Code::invalid, std::string("means nothing to ") + model + "; leave it out", option->get_name()};
    }
  }
  return {};
}

Result<int> answer(const Options& o, const Common& common, const std::filesystem::path& path, std::string prompt,
                   bool interactive) {
  MIAO_TRY(const bool speech, runtime::is_speech_model(path));
  if (speech) return usage_error(verb_run, "this model turns speech into text: give it audio files");
  MIAO_CHECK_OK(none_of({o.of_chat, o.of_encoders, o.of_speech}, "an encoder-decoder of text"));
  AnswerOptions options{o.model.ref, o.inputs, o.truncate, o.max_tokens, o.explained(), o.search, o.sampling, o.engine};
  if (interactive) {
    MIAO_CHECK_OK(none_of({o.of_explain}, "a chat"));
    return run_seq2seq_session(options, path, o.no_history ? std::filesystem::path() : history_path());
  }
  if (o.lines) {
    options.texts = lines_of(prompt);
  } else if (o.inputs.size() <= 1) {
    options.texts = {std::move(prompt)};
  }
  return run_seq2seq(options, common, path);
}

// Audio files are not read with what is piped in, so they are looked for first of all. No value: this is no speech.
Result<std::optional<int>> run_if_speech(const Options& o, const Common& common) {
  if (!could_be_audio(o.inputs)) return std::optional<int>();
  MIAO_TRY(const std::filesystem::path path, find_model(o.model, common));
  MIAO_TRY(const bool speech, runtime::is_speech_model(path));
  if (!speech) return std::optional<int>();
  MIAO_CHECK_OK(none_of({o.of_chat, o.of_texts, o.of_encoders, o.of_explain}, "a model of speech"));
  MIAO_TRY(const int code, run_speech({o.model.ref, o.inputs, o.speech, o.search, o.sampling, o.engine}, common, path));
  return std::optional(code);
}

Result<int> run(const Options& o, const Common& common) {
  if (const std::string page = o.explained().file; !page.empty()) MIAO_CHECK_OK(replaceable(page));
  MIAO_TRY(const std::optional<int> spoken, run_if_speech(o, common));
  if (spoken) return *spoken;
  const bool interactive = o.inputs.empty() && is_tty(STDIN_FILENO);
  if (interactive && common.json) return usage_error(verb_run, "--json needs a prompt");
  std::string prompt;
  if (!interactive && o.inputs.size() <= 1) {
    MIAO_TRY(prompt, read_prompt(o));
    const bool from_nothing = o.raw && o.prompt() == "";  // asks for what the model says first of all
    if (blank(prompt) && !from_nothing) return usage_error(verb_run, "the prompt is empty");
  }
  MIAO_TRY(const std::filesystem::path path, find_model(o.model, common));
  MIAO_TRY(const models::ModelSpec::Shape shape, runtime::model_shape(path));
  if (shape == models::ModelSpec::Shape::encoder) {
    MIAO_CHECK_OK(none_of({o.of_chat, o.of_search, o.of_speech, o.of_sampling, o.of_writers}, "an encoder"));
    if (interactive) return usage_error(verb_run, "this model is an encoder: give it texts");
    EncodeOptions encode = o.encode;
    encode.model = o.model.ref;
    encode.truncate = o.truncate;
    encode.texts = texts_of(o, prompt);
    encode.explain = o.explained().wanted;
    encode.explain_file = o.explained().file;
    encode.engine = o.engine;
    return run_encoder(encode, common, path);
  }
  if (shape == models::ModelSpec::Shape::encoder_decoder)
    return answer(o, common, path, std::move(prompt), interactive);
  MIAO_CHECK_OK(none_of({o.of_texts, o.of_encoders, o.of_search, o.of_speech}, "a decoder"));
  if (o.inputs.size() > 1) return usage_error(verb_run, "this model takes one prompt; quote it");
  MIAO_TRY(const auto engine, open_engine(path, o.engine.options()));
  MIAO_TRY(const prep::Tokenizer* const tokenizer, engine->tokenizer());
  MIAO_TRY(runtime::GenerationDefaults defaults, runtime::generation_defaults(engine->checkpoint()));
  runtime::GenerateOptions generate;
  generate.sampling = o.sampling.over(std::move(defaults.sampling));
  generate.max_tokens = o.max_tokens;
  generate.stop = o.stop;
  generate.stop_tokens = std::move(defaults.stop_tokens);
  generate.ignore_end = o.ignore_end;
  MIAO_TRY(auto form, choose_template(o, *engine));
  Conversation conversation(*tokenizer, std::move(form), o.control);
  if (!o.system.empty()) conversation.set_system(o.system);
  if (interactive) {
    MIAO_CHECK_OK(none_of({o.of_explain}, "a chat"));
    const SessionOptions session{.history = o.no_history ? std::filesystem::path() : history_path(),
                                 .figures = !common.quiet};
    return chat(*engine, std::move(conversation), std::move(generate), session);
  }
  return answer_once(o, common, *engine, std::move(conversation), std::move(generate), std::move(prompt));
}

void add_encoder_flags(CLI::App& app, Options& o) {
  const auto add = [&](CLI::Option* option) { option->group("Encoders"); };
  add(app.add_option("--task", o.encode.task, "What to do instead of what the model's head is for")
          ->check(CLI::IsMember({"embed", "classify", "rerank", "entities", "answer"})));
  add(app.add_option("--question", o.encode.question, "Searches the texts for its answer")->check(not_empty()));
  add(app.add_option("--query", o.encode.query, "Puts the texts in the order in which they answer it")
          ->check(not_empty()));
  add(app.add_option("--aggregation", o.encode.aggregation,
                     "How the tokens of a word agree on its label, as in transformers")
          ->check(CLI::IsMember({"simple", "first", "average", "max"})));
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  app.add_option("input", o->inputs,
                 "The message, behind what is piped in; - or none reads standard input alone. None at a terminal: a "
                 "chat. Encoders take several texts, or a line of standard input each; models of speech audio files");
  // The flags that have been added since the last call.
  size_t seen = app.get_options().size();
  const auto added = [&] {
    const auto all = std::as_const(app).get_options();
    Options::Flags out(all.begin() + static_cast<std::ptrdiff_t>(seen), all.end());
    seen = all.size();
    return out;
  };
  app.add_option("-n,--max-tokens", o->max_tokens, "Tokens of an answer at most; -1 = until the model ends it")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 40));
  o->of_writers = added();
  auto* const system = app.add_option("-s,--system", o->system, "System text, in front of the conversation");
  auto* const form = app.add_option("--template", o->form_file, "A chat template (Jinja) instead of the model's own");
  form->type_name("FILE");
  app.add_flag("--raw", o->raw, "No chat template: the prompt is continued as it is")->excludes(system)->excludes(form);
  app.add_flag("--control", o->control, "Control tokens spelled in a raw prompt count as such");
  app.add_option("--stop", o->stop, "Ends the answer at this text, which is not shown; may be repeated")
      ->check(not_empty())
      ->allow_extra_args(false);
  app.add_flag("--ignore-end", o->ignore_end, "Goes on behind the model's end token");
  app.add_flag("--no-history", o->no_history, "Keeps no history of what is typed");
  o->of_chat = added();
  app.add_flag("--truncate", o->truncate, "Cuts texts that are too long for an encoder, which else are an error");
  app.add_flag("--lines", o->lines, "Each line of standard input is a text of its own (encoder-decoders)");
  o->of_texts = added();
  app.add_flag(
      "--explain", o->explain,
      "Of an answer: how likely the model found each token, and what it would rather have written. Of a class: "
      "its score with each word left out in turn. --explain=FILE.html writes a page");
  o->of_explain = added();
  add_encoder_flags(app, *o);
  o->of_encoders = added();
  add_search_flags(app, o->search);
  o->of_search = added();
  add_speech_flags(app, o->speech);
  o->of_speech = added();
  add_sampling_flags(app, o->sampling);
  o->of_sampling = added();
  add_engine_flags(app, o->engine);
  for (const char* name : {"--kv", "--chunk"}) o->of_writers.push_back(app.get_option(name));
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_run = {
    .name = "run",
    .group = "Use models",
    .summary = "Answer a prompt, chat, translate, summarise, transcribe, embed or classify",
    .details =
        "With a prompt, or with text on standard input, the answer goes to standard output and one line of "
        "figures to standard error. With both, the text comes first and the prompt behind it, as a question about it. "
        "At a terminal without a prompt a chat begins; /help lists its commands.\n\n"
        "A model with a chat template gets the prompt as a user's message. Sampling settings are those that the "
        "model's files name, else temperature 0.8, top-k 40, top-p 0.95, min-p 0.05. The text is never cut to "
        "fit the context: a prompt that is too long is an error.\n\n"
        "What is done is found from the model. An encoder gives vectors of texts (one, or more than 20: their numbers; "
        "a "
        "few: a table of their cosines), or what its head is for: the class of each text, entities in it, answers to a "
        "--question in it, or how well it answers a --query. Long texts are searched for entities and answers as a "
        "whole. A text that cannot be read is reported and the others go on. An encoder-decoder gives the answer to "
        "each text, found as its files ask for (beams, lengths), greedily where they say nothing.\n\n"
        "A model of speech takes audio files (WAV, FLAC, Ogg, MP3) of any length and writes what is said as it hears "
        "it. It looks for the best of 5 beams; where the result repeats itself or is unlikely, it draws at higher "
        "temperatures, from --temperature on and with --greedy not at all.",
    .examples =
        "miao run smollm2                                    # chat\n"
        "miao run smollm2 \"Name three rivers.\" --greedy      # one answer, the same each time\n"
        "miao run model.gguf - --json < question.txt         # text and figures as JSON\n"
        "miao run model.gguf \"Summarise this.\" < notes.txt  # a question about a text\n"
        "miao run minilm \"a cat\" \"a dog\" \"tax law\"          # how near the texts are\n"
        "miao run minilm --json < lines.txt                  # a vector for each line\n"
        "miao run opus-mt-en-fr --lines < english.txt        # a translation a line\n"
        "miao run flan-t5 \"translate English to German: Good morning.\" --beams 4 --best 3\n"
        "miao run whisper-base talk.mp3 --format srt --output talk.srt\n"
        "miao run ner \"Ada lives in Paris.\"                # entities\n"
        "miao run qa --question \"Who?\" - < notes.txt       # answers in a text\n"
        "miao run base.gguf --raw \"Once upon a time\" -n 200  # plain continuation",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
