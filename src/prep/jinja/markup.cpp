// Entities take the trust of the character they stand for.
#include "prep/jinja/markup.h"

namespace miao::prep::jinja {

Text escaped(const Text& text) {
  Text out;
  text.each_run(0, text.size(), [&](std::string_view bytes, bool trusted) {
    std::string piece;
    for (const char c : bytes) {
      switch (c) {
        case '&':
          piece += "&amp;";
          break;
        case '<':
          piece += "&lt;";
          break;
        case '>':
          piece += "&gt;";
          break;
        case '\'':
          piece += "&#39;";
          break;
        case '"':
          piece += "&#34;";
          break;
        default:
          piece += c;
      }
    }
    out.append(piece, trusted);
  });
  out.markup = true;
  return out;
}

}  // namespace miao::prep::jinja
