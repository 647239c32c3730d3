// Code points and the Unicode properties that Python's str methods ask about. Text inside the interpreter is valid
// UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace miao::prep::jinja {

// Bytes of the UTF-8 sequence that starts with `lead` (valid text).
inline size_t sequence_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
inline bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Decodes the code point at `at` and moves `at` behind it; an invalid byte counts as U+FFFD and one byte.
char32_t next_code_point(std::string_view text, size_t& at);
// The offset where the code point that ends at `end` starts.
size_t previous_start(std::string_view text, size_t end);
void append_utf8(std::string& out, char32_t c);
bool is_valid_utf8(std::string_view text);

// The start of a text for a message: whole characters of at most `bytes` bytes, control characters as blanks.
std::string clipped(std::string_view text, size_t bytes = 60);

size_t count_code_points(std::string_view text);
// Byte offset of code point `index` (<= count).
size_t offset_of(std::string_view text, size_t index);

bool is_space(char32_t c);     // str.isspace
bool is_line_end(char32_t c);  // str.splitlines
bool is_letter(char32_t c);    // str.isalpha
bool is_decimal(char32_t c);   // str.isdecimal
bool is_numeric(char32_t c);   // str.isnumeric (and isdigit, which differs in a few fractions only)
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_printable(char32_t c);  // shown as itself by repr()
bool is_word(char32_t c);       // \w

// Append the case mapping of one code point (may be several: sharp s becomes SS).
void append_upper(std::string& out, char32_t c);
void append_lower(std::string& out, char32_t c);
void append_title(std::string& out, char32_t c);

}  // namespace miao::prep::jinja
