// LineEditor: lines typed at a terminal, with editing keys and a history file, through libedit. The prompt goes to
// stderr, so that stdout holds answers only.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"

namespace miao::cli {

class LineEditor {
 public:
  enum class Got { line, interrupted, end };  // interrupted: Ctrl-C; end: Ctrl-D or a closed terminal

  // `history` is read now and written by save(); empty = none is kept. A history that cannot be read is no Error.
  static Result<LineEditor> open(std::filesystem::path history);
  LineEditor(LineEditor&&) noexcept;
  LineEditor& operator=(LineEditor&&) noexcept;
  ~LineEditor();

  // One input without its last line break; what is pasted is one input, however many lines it has. A line that ends
  // with a backslash goes on with the next one, the backslash being replaced by a line break.
  Got read(std::string& input);
  // Writes the history; its folder is made where it is missing. Errors: io.
  Result<void> save() const;

 private:
  struct State;
  explicit LineEditor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// $XDG_STATE_HOME/miao/history, else ~/.local/state/miao/history; empty without a home.
std::filesystem::path history_path();

}  // namespace miao::cli
