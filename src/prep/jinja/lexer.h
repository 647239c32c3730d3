// Tokens of a template: text between tags, and names, literals and operators inside them. Whitespace control (- and +)
// and the two options that transformers sets, trim_blocks and lstrip_blocks, are dealt with here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::prep::jinja {

enum class Token : uint8_t {
  data,            // text to print: `text`
  block_begin,     // {%
  block_end,       // %}
  variable_begin,  // {{
  variable_end,    // }}
  name,            // `text`
  string,          // `text`, escapes resolved
  integer,
  real,
  op,  // `text`: + - * / // % ** ~ [ ] ( ) { } == != > >= < <= = . : | , ;
  end,
};

struct Lexeme {
  Token token = Token::end;
  int line = 1;
  std::string text;
  int64_t integer = 0;
  double real = 0;

  bool is_op(std::string_view op) const { return token == Token::op && text == op; }
  bool is_name(std::string_view name) const { return token == Token::name && text == name; }
  std::string shown() const;  // for messages
};

// The tokens with a final `end`; errors carry `where` as "<place>:<line>".
Result<std::vector<Lexeme>> tokenize(std::string_view source, std::string_view place);

// "<place>:<line>"
std::string line_place(std::string_view place, int line);

}  // namespace miao::prep::jinja
