// Text of a model on its way to stdout. On a terminal, control characters other than line breaks and tabs become
// visible escapes: a model must not move the cursor or change the window's title. Elsewhere bytes pass unchanged.
#pragma once

#include <string>
#include <string_view>

namespace miao::cli {

std::string terminal_safe(std::string_view utf8);  // valid UTF-8 in, valid UTF-8 out

// Writes to stdout at once.
class Screen {
 public:
  Screen();
  void show(std::string_view piece);
  void end();  // a line break, unless the text ended with one or there was none

 private:
  bool tty_;
  char last_ = '\n';
};

}  // namespace miao::cli
