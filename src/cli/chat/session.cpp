#include "cli/chat/session.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "base/file.h"
#include "cli/app.h"
#include "cli/chat/command.h"
#include "cli/chat/figures.h"
#include "cli/chat/line_editor.h"
#include "cli/chat/screen.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"

namespace miao::cli {

namespace {

std::atomic<bool> stop_answer{false}, leave{false};

// While a chat runs, Ctrl-C sets a flag that each answer clears; SIGTERM ends the chat, which leaves the terminal and
// the history in order.
class ChatInterrupts {
 public:
  ChatInterrupts() {
    struct sigaction action {};
    action.sa_handler = [](int signal) {
      stop_answer = true;
      if (signal == SIGINT) return;
      leave = true;
      ::alarm(1);  // and once more: a signal just before the editor's read() does not end that
    };
    sigemptyset(&action.sa_mask);  // no SA_RESTART: the line being typed is given up
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGALRM, &action, nullptr);
  }
  ~ChatInterrupts() { catch_interrupts(); }
};

constexpr const char* kMoreRoom = "/clear begins anew, --ctx makes room for more.";

void notice(std::string_view text) {
  const Style style(STDERR_FILENO);
  fmt::print(stderr, "{}\n", style.dim(text));
}

class Chat {
 public:
  Chat(runtime::Engine& engine, Conversation conversation, runtime::GenerateOptions options, bool show_figures)
      : engine_(engine),
        conversation_(std::move(conversation)),
        options_(std::move(options)),
        show_figures_(show_figures),
        generator_(engine) {
    options_.cancel = &stop_answer;
  }

  // False: leave.
  bool take(std::string input) {
    auto command = parse_command(input);
    if (!command.ok()) {
      print_error(command.error());
    } else if (*command) {
      const auto done = obey(**command);
      if (!done.ok()) print_error(done.error());
      return !done.ok() || *done;
    } else if (!input.empty()) {
      conversation_.add("user", std::move(input));
      answer();
    }
    return true;
  }

 private:
  Result<bool> obey(const Command& command) {
    switch (command.kind) {
      case Command::Kind::help:
        fmt::print(stderr, "{}", command_help());
        break;
      case Command::Kind::clear:
        conversation_.clear();
        break;
      case Command::Kind::system:
        conversation_.set_system(command.argument);
        break;
      case Command::Kind::save:
        MIAO_CHECK_OK(write_file_atomic(command.argument, conversation_.json()));
        break;
      case Command::Kind::load: {
        MIAO_TRY(const std::string text, read_file(command.argument, 64 << 20));
        MIAO_CHECK_OK(conversation_.load(text, command.argument));
        notice(fmt::format("{} messages", conversation_.size()));
        break;
      }
      case Command::Kind::again:
        again();
        break;
      case Command::Kind::exit:
        return false;
    }
    return true;
  }

  void again() {
    if (!conversation_.last("user")) return notice("there is no message to answer");
    while (conversation_.size() > 0 && &conversation_.back() != conversation_.last("user")) conversation_.drop_last();
    answer();
  }

  void answer() {
    stop_answer = leave.load();
    const EchoOff quiet;
    Screen screen;
    const auto result = speak(screen);
    screen.end();
    if (!result.ok()) {  // the message stays out, so that the next one has a chance
      conversation_.drop_last();
      return print_error(result.error());
    }
    conversation_.add("assistant", result->text);
    if (result->reason == runtime::StopReason::context_full) {
      notice(fmt::format("The context of {} tokens is full. {}", engine_.ctx(), kMoreRoom));
    }
    if (show_figures_) notice(figures(engine_, result->stats).line());
  }

  Result<runtime::Generated> speak(Screen& screen) {
    MIAO_TRY(const std::vector<int32_t> ids, conversation_.ids());
    if (const auto count = static_cast<int64_t>(ids.size()); count >= engine_.ctx()) {
      return Error{Code::invalid,
                   fmt::format("the conversation has {} tokens with this message, and the context holds {}. {}", count,
                               engine_.ctx(), kMoreRoom),
                   {}};
    }
    return generator_.run(ids, options_, [&](std::string_view piece) { screen.show(piece); });
  }

  runtime::Engine& engine_;
  Conversation conversation_;
  runtime::GenerateOptions options_;
  bool show_figures_;
  runtime::Generator generator_;
};

}  // namespace

Result<int> chat(runtime::Engine& engine, Conversation conversation, runtime::GenerateOptions options,
                 const SessionOptions& session) {
  MIAO_TRY(LineEditor editor, LineEditor::open(session.history));
  const ChatInterrupts interrupts;
  Chat chat(engine, std::move(conversation), std::move(options), session.figures);
  notice("Type a message, or /help.");
  std::string input;
  while (!leave) {
    const auto got = editor.read(input);
    if (got == LineEditor::Got::end || leave) break;
    if (got == LineEditor::Got::line && !chat.take(std::move(input))) break;
  }
  if (const auto saved = editor.save(); !saved.ok()) print_error(saved.error());
  return static_cast<int>(leave ? kInterrupted : kOk);
}

}  // namespace miao::cli
