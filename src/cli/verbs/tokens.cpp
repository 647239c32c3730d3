// miao tokens: text to token ids and back, line by line or a whole file, fast enough for corpora.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/json.h"
#include "cli/ids.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"

namespace miao::cli {

extern const Verb verb_tokens;

namespace {

struct Options {
  ModelArgument model;
  std::optional<std::string> prompt;
  std::string text_file;
  bool no_special = false, literal = false, decode = false;
};

constexpr size_t kMaxText = size_t{1} << 30;  // bytes of one text

// Calls `take` with each line of standard input, without its line break; `idle` before waiting for more.
Result<void> each_line(const std::function<Result<void>(std::string_view)>& take, const std::function<void()>& idle) {
  std::string pending;
  std::vector<char> buffer(size_t{1} << 20);
  for (;;) {
    idle();
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (interrupted()) return Error{Code::cancelled, "interrupted", "standard input"};
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Code::io, std::string("cannot read: ") + std::strerror(errno), "standard input"};
    if (n == 0) break;
    std::string_view rest(buffer.data(), static_cast<size_t>(n));
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      if (pending.empty()) {
        MIAO_CHECK_OK(take(rest.substr(0, end)));
      } else {
        pending += rest.substr(0, end);
        MIAO_CHECK_OK(take(pending));
        pending.clear();
      }
    }
    if (pending.size() + rest.size() > kMaxText) {
      return Error{Code::invalid, "has a line of more than " + std::to_string(kMaxText) + " bytes", "standard input"};
    }
    pending += rest;
  }
  if (!pending.empty()) MIAO_CHECK_OK(take(pending));
  return {};
}

void write_ids(const std::vector<int32_t>& ids) {
  std::string line;
  line.reserve(ids.size() * 6 + 3);
  line += '[';
  char digits[16];
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i) line += ',';
    line.append(digits, std::to_chars(digits, digits + sizeof digits, ids[i]).ptr);
  }
  line += "]\n";
  out().write(line);
}

void write_readable(const prep::Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  const Style style(STDOUT_FILENO);
  for (const int32_t id : ids) {
    const std::string piece = printable(tokenizer.id_to_piece(id));
    out().write(fmt::format("{:>7}  {}\n", id, tokenizer.is_special(id) ? style.bold(piece) : piece));
  }
}

Result<int> run(const Options& o, const Common& common) {
  MIAO_TRY(const std::filesystem::path path, find_model(o.model, common));
  MIAO_TRY(const prep::Tokenizer tokenizer, load_tokenizer(path));
  const prep::EncodeOptions options{.add_special = !o.no_special, .parse_special = !o.literal};
  size_t texts = 0;
  auto encode = [&](std::string_view text) -> Result<void> {
    ++texts;
    MIAO_TRY(const std::vector<int32_t> ids, tokenizer.encode(text, options));
    if (common.json) {
      write_ids(ids);
    } else {
      if (texts > 1) out().write("\n");
      write_readable(tokenizer, ids);
    }
    return {};
  };
  auto decode = [&](std::string_view line) -> Result<void> {
    ++texts;
    const auto ids = parse_ids(line, tokenizer.vocab_size());
    if (!ids.ok()) return Error{Code::invalid, ids.error().message, "line " + std::to_string(texts)};
    const std::string text = tokenizer.decode(*ids, o.no_special);
    out().line(common.json ? dump_json(Json(text)) : text);
    return {};
  };
  const std::function<Result<void>(std::string_view)> take = o.decode ? std::function(decode) : std::function(encode);
  if (o.prompt) {
    const auto taken = take(*o.prompt);
    if (!taken.ok()) return usage_error(verb_tokens, "--prompt: " + taken.error().message);
  } else if (!o.text_file.empty()) {
    MIAO_TRY(const std::string text, read_input(o.text_file, kMaxText));
    exit_on_interrupt();
    MIAO_CHECK_OK(take(text));
  } else {
    Result<void> flushed;
    auto flush = [&] {  // when the input pauses, which keeps it usable as a co-process
      if (flushed.ok()) flushed = out().flush();
    };
    MIAO_CHECK_OK(each_line(take, flush));
    MIAO_CHECK_OK(flushed);
  }
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  auto* prompt = app.add_option("-p,--prompt", o->prompt, "One text, instead of standard input")->type_name("TEXT");
  app.add_option("--text", o->text_file, "One text: a whole file with its line breaks; - is standard input")
      ->type_name("FILE")
      ->excludes(prompt);
  app.add_flag("--decode", o->decode, "Ids to text");
  app.add_flag("--no-special", o->no_special, "Add no begin and end ids; with --decode, leave control tokens out");
  app.add_flag("--literal", o->literal, "Take control tokens written in the text as plain text");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_tokens = {
    .name = "tokens",
    .group = "Look inside",
    .summary = "Turn text into token ids, or ids into text",
    .details =
        "Reads standard input line by line; a line gives one array of ids with --json, otherwise one token a line. "
        "MODEL may also be a GGUF file without weights, a directory that has a tokenizer alone, a tokenizer.json, or a "
        "SentencePiece model (.model, .spm).",
    .examples =
        "miao tokens smollm2 -p 'Hello, world'               # ids and pieces\n"
        "miao tokens smollm2 --json < corpus.txt > ids.jsonl  # a line in, an array out\n"
        "miao tokens smollm2 --text prompt.txt --json        # a file as one text\n"
        "echo '[19556, 28, 905]' | miao tokens smollm2 --decode",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
