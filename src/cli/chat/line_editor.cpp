// libedit reads stdin in raw mode with signals on: SIGINT ends its read() with EINTR (the handler that the verb
// installs has no SA_RESTART), and el_gets returns without a line.
#include "cli/chat/line_editor.h"

#include <histedit.h>
#include <sys/stat.h>

#include <cerrno>
#include <clocale>
#include <cstdio>

#include "base/env.h"

namespace miao::cli {

namespace fs = std::filesystem;

namespace {

constexpr int kHistoryLines = 1000;
// Terminals put what is pasted between these marks while the mode is on.
constexpr const char* kPasteOn = "\x1b[?2004h";
constexpr const char* kPasteOff = "\x1b[?2004l";
constexpr std::string_view kPasteBegin = "\x1b[200~";
constexpr std::string_view kPasteEnd = "\x1b[201~";

// The editor's answer to kPasteBegin: all up to kPasteEnd is text, its line breaks too.
unsigned char paste(EditLine* editor, int) {
  std::string text;
  char c = 0;
  while (!text.ends_with(kPasteEnd)) {
    if (el_getc(editor, &c) != 1) return CC_EOF;
    text += c;
  }
  text.resize(text.size() - kPasteEnd.size());
  std::string clean;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool pair = text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    if (!pair) clean += text[i] == '\r' ? '\n' : text[i];
  }
  if (!clean.empty() && el_insertstr(editor, clean.c_str()) != 0) return CC_ERROR;
  return CC_REFRESH;
}

const char* first_prompt(EditLine*) { return "> "; }
const char* next_prompt(EditLine*) { return ". "; }

}  // namespace

struct LineEditor::State {
  EditLine* editor = nullptr;
  History* history = nullptr;
  fs::path file;

  ~State() {
    if (history) history_end(history);
    if (editor) el_end(editor);
  }
};

LineEditor::LineEditor(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineEditor::LineEditor(LineEditor&&) noexcept = default;
LineEditor& LineEditor::operator=(LineEditor&&) noexcept = default;
LineEditor::~LineEditor() = default;

Result<LineEditor> LineEditor::open(fs::path history) {
  std::setlocale(LC_CTYPE, "");  // so that libedit reads UTF-8; numbers keep the C locale
  auto state = std::make_unique<State>();
  state->file = std::move(history);
  state->editor = el_init("miao", stdin, stderr, stderr);
  state->history = history_init();
  if (!state->editor || !state->history) return Error{Code::io, "cannot set up line editing", "terminal"};
  HistEvent event;
  ::history(state->history, &event, H_SETSIZE, kHistoryLines);
  ::history(state->history, &event, H_SETUNIQUE, 1);
  if (!state->file.empty()) ::history(state->history, &event, H_LOAD, state->file.c_str());
  el_set(state->editor, EL_HIST, ::history, state->history);
  el_set(state->editor, EL_EDITOR, "emacs");
  el_set(state->editor, EL_SIGNAL, 0);
  el_set(state->editor, EL_ADDFN, "miao-paste", "Insert pasted text", paste);
  el_set(state->editor, EL_BIND, kPasteBegin.data(), "miao-paste", nullptr);
  return LineEditor(std::move(state));
}

LineEditor::Got LineEditor::read(std::string& input) {
  input.clear();
  for (bool first = true;; first = false) {
    el_set(state_->editor, EL_PROMPT, first ? first_prompt : next_prompt);
    int count = 0;
    std::fputs(kPasteOn, stderr);
    errno = 0;
    const char* line = el_gets(state_->editor, &count);
    const int error = errno;
    std::fputs(kPasteOff, stderr);
    if (!line || count <= 0) {
      std::fputc('\n', stderr);
      return error == EINTR || count < 0 ? Got::interrupted : Got::end;
    }
    std::string text(line, static_cast<size_t>(count));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (!text.empty()) {
      HistEvent event;
      ::history(state_->history, &event, H_ENTER, text.c_str());
    }
    const bool more = !text.empty() && text.back() == '\\';
    if (more) text.back() = '\n';
    input += text;
    if (!more) return Got::line;
  }
}

Result<void> LineEditor::save() const {
  if (state_->file.empty()) return {};
  std::error_code code;
  fs::create_directories(state_->file.parent_path(), code);
  HistEvent event;
  if (::history(state_->history, &event, H_SAVE, state_->file.c_str()) < 0) {
    return Error{Code::io, "cannot write the history of inputs", state_->file.string()};
  }
  ::chmod(state_->file.c_str(), 0600);
  return {};
}

fs::path history_path() {
  if (const auto folder = env("XDG_STATE_HOME")) return fs::path(*folder) / "miao" / "history";
  if (const auto home = env("HOME")) return fs::path(*home) / ".local" / "state" / "miao" / "history";
  return {};
}

}  // namespace miao::cli
