// What a terminal shows: width, colour, tables, progress, and text from files made safe to print.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace miao::cli {

bool is_tty(int fd);
int terminal_width();     // of stdout or stderr; $COLUMNS, else 100, where neither is a terminal
bool use_colour(int fd);  // a terminal, and neither NO_COLOR nor TERM=dumb

// Escape sequences, or nothing where colour is off.
struct Style {
  explicit Style(int fd) : on(use_colour(fd)) {}
  bool on;
  std::string bold(std::string_view text) const { return paint("1", text); }
  std::string dim(std::string_view text) const { return paint("2", text); }
  std::string red(std::string_view text) const { return paint("31", text); }
  std::string paint(const char* code, std::string_view text) const;
};

// Control characters (line breaks too) and broken UTF-8 as escapes, so that text of a file can neither move the
// cursor nor break a table.
std::string printable(std::string_view text);
size_t display_width(std::string_view text);               // columns of a terminal
std::string shorten(std::string_view text, size_t width);  // with "..." at the end when cut
std::string human_bytes(uint64_t bytes);                   // "98.4 MB", powers of 1000
std::string human_count(uint64_t count);                   // "134.5 M"
std::string human_seconds(double seconds);                 // "0:07", "1:02:03"
std::string grouped(uint64_t value);                       // "98,362,432"

// While it lives, keys typed at the terminal of stdin do not show. They are read by whoever reads next.
class EchoOff {
 public:
  EchoOff();
  ~EchoOff();
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;  // null where stdin is no terminal
};

// Columns two spaces apart. The last column is cut at the width of the terminal when stdout is one.
class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);
  std::string str(bool header = true) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// The progress of one named thing after another on stderr: a bar on a terminal, otherwise a line for each that is
// finished and large. Quiet when asked to be. Amounts are bytes, or things of a `unit`, which leave no line behind.
class ProgressBar {
 public:
  explicit ProgressBar(bool quiet, std::string unit = {});
  ~ProgressBar();
  void update(std::string_view name, uint64_t done, uint64_t total);
  void end();  // of the current line

 private:
  void draw(bool last);
  std::string amount(uint64_t n) const;

  bool quiet_, tty_;
  std::string unit_, name_;
  uint64_t done_ = 0, total_ = 0, begin_bytes_ = 0;
  double begin_ = 0, drawn_ = 0;
  bool open_ = false;
};

}  // namespace miao::cli
