#include "cli/chat/screen.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/terminal.h"

namespace miao::cli {

std::string terminal_safe(std::string_view utf8) {
  std::string out;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    const auto next = i + 1 < utf8.size() ? static_cast<unsigned char>(utf8[i + 1]) : 0u;
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
      out += fmt::format("\\x{:02x}", c);
    } else if (c == 0xc2 && next < 0xa0) {  // U+0080 .. U+009F
      out += fmt::format("\\x{:02x}", next);
      ++i;
    } else {
      out += utf8[i];
    }
  }
  return out;
}

Screen::Screen() : tty_(is_tty(STDOUT_FILENO)) {}

void Screen::show(std::string_view piece) {
  if (piece.empty()) return;
  last_ = piece.back();
  out().write(tty_ ? terminal_safe(piece) : std::string(piece));
  // A failed write ends the program at its last flush, with a message.
  (void)out().flush();
}

void Screen::end() {
  if (last_ != '\n') show("\n");
}

}  // namespace miao::cli
