// Escape sequences are the few that every terminal knows: colour, carriage return, erase to the end of the line.
#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/clock.h"
#include "base/env.h"

namespace miao::cli {

bool is_tty(int fd) { return ::isatty(fd) == 1; }

int terminal_width() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    winsize size{};
    if (is_tty(fd) && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return std::max<int>(size.ws_col, 20);
  }
  int width = 0;
  const std::string columns = env("COLUMNS").value_or("");
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  return width >= 20 && width <= 10000 ? width : 100;
}

bool use_colour(int fd) { return is_tty(fd) && !env("NO_COLOR") && env("TERM").value_or("dumb") != "dumb"; }

std::string Style::paint(const char* code, std::string_view text) const {
  return on ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

namespace {

// Length of the well-formed UTF-8 sequence at the front of `text`; 0 when there is none.
size_t sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char c = byte(0);
  const size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
  if (n == 0 || n > text.size()) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (n == 3 && ((c == 0xe0 && byte(1) < 0xa0) || (c == 0xed && byte(1) >= 0xa0))) return 0;
  if (n == 4 && ((c == 0xf0 && byte(1) < 0x90) || (c == 0xf4 && byte(1) >= 0x90))) return 0;
  return n;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t n = sequence(text);
    const auto c = static_cast<unsigned char>(text[0]);
    const bool c1 = n == 2 && c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;  // 8-bit control characters
    // Marks that reverse or embed writing direction could make a line show other text than it holds.
    const bool bidi = n == 3 && (text.starts_with("\xe2\x80\xaa") || text.starts_with("\xe2\x80\xab") ||
                                 text.starts_with("\xe2\x80\xad") || text.starts_with("\xe2\x80\xae") ||
                                 (text.substr(0, 2) == "\xe2\x81" && static_cast<unsigned char>(text[2]) >= 0xa6 &&
                                  static_cast<unsigned char>(text[2]) <= 0xa9));
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (n == 0 || c < 0x20 || c == 0x7f || c1 || bidi) {
      for (size_t i = 0; i < std::max<size_t>(n, 1); ++i)
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(std::max<size_t>(n, 1));
  }
  return out;
}

namespace {

// The character at the front of `text`: its bytes, and the columns it takes. What is not UTF-8 takes one a byte.
struct Glyph {
  size_t bytes, columns;
};
Glyph glyph(std::string_view text) {
  utf8proc_int32_t c = -1;
  const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                      static_cast<utf8proc_ssize_t>(text.size()), &c);
  if (bytes <= 0) return {1, 1};
  return {static_cast<size_t>(bytes), static_cast<size_t>(utf8proc_charwidth(c))};
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Glyph g = glyph(text);
    width += g.columns;
    text.remove_prefix(g.bytes);
  }
  return width;
}

std::string shorten(std::string_view text, size_t width) {
  if (display_width(text) <= width) return std::string(text);
  const size_t keep = width > 3 ? width - 3 : width;
  size_t at = 0;
  for (size_t columns = 0; at < text.size();) {
    const Glyph g = glyph(text.substr(at));
    columns += g.columns;
    if (columns > keep) break;
    at += g.bytes;
  }
  return std::string(text.substr(0, at)) + (width > 3 ? "..." : "");
}

namespace {

std::string scaled(double value, std::initializer_list<const char*> units) {
  auto unit = units.begin();
  while (value >= 999.95 && unit + 1 != units.end()) {
    value /= 1000;
    ++unit;
  }
  const std::string number = unit == units.begin() ? fmt::format("{:.0f}", value) : fmt::format("{:.1f}", value);
  return **unit ? number + " " + *unit : number;
}

}  // namespace

std::string human_bytes(uint64_t bytes) {
  return scaled(static_cast<double>(bytes), {"B", "kB", "MB", "GB", "TB", "PB"});
}

std::string human_count(uint64_t count) { return scaled(static_cast<double>(count), {"", "k", "M", "B", "T"}); }

std::string human_seconds(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string grouped(uint64_t value) {
  const std::string digits = std::to_string(value);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

struct EchoOff::Saved {
  termios mode;
};

EchoOff::EchoOff() {
  termios mode{};
  if (::tcgetattr(STDIN_FILENO, &mode) != 0) return;
  saved_ = std::make_unique<Saved>(mode);
  mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &mode);
}

EchoOff::~EchoOff() {
  if (saved_) ::tcsetattr(STDIN_FILENO, TCSANOW, &saved_->mode);
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::str(bool header) const {
  std::vector<size_t> width(columns_.size(), 0);
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (header) width[i] = display_width(columns_[i].title);
    for (const auto& row : rows_) width[i] = std::max(width[i], display_width(row[i]));
  }
  const Style style(STDOUT_FILENO);
  const size_t limit = is_tty(STDOUT_FILENO) ? static_cast<size_t>(terminal_width()) : ~size_t{0};
  std::string text;
  auto put = [&](const std::string& cell, size_t i, size_t& at, bool head) {
    const bool last = i + 1 == columns_.size();
    std::string shown = last && limit > at ? shorten(cell, std::max<size_t>(limit - at, 8)) : cell;
    const std::string fill(width[i] - std::min(width[i], display_width(shown)), ' ');
    at += width[i] + 2;
    if (columns_[i].right) text += fill;
    text += head ? style.dim(shown) : shown;
    if (!last) text += (columns_[i].right ? "" : fill) + "  ";
  };
  if (header) {
    size_t at = 0;
    for (size_t i = 0; i < columns_.size(); ++i) put(columns_[i].title, i, at, true);
    text += '\n';
  }
  for (const auto& row : rows_) {
    size_t at = 0;
    for (size_t i = 0; i < columns_.size(); ++i) put(row[i], i, at, false);
    text += '\n';
  }
  return text;
}

ProgressBar::ProgressBar(bool quiet, std::string unit)
    : quiet_(quiet || env("HF_HUB_DISABLE_PROGRESS_BARS").value_or("0") != "0"),
      tty_(is_tty(STDERR_FILENO)),
      unit_(std::move(unit)) {}

ProgressBar::~ProgressBar() { end(); }

void ProgressBar::update(std::string_view name, uint64_t done, uint64_t total) {
  if (quiet_) return;
  if (name != name_ || !open_) {
    end();
    name_ = name;
    begin_ = now_seconds();
    begin_bytes_ = done;
    drawn_ = 0;
    open_ = true;
  }
  done_ = done;
  total_ = total;
  const double now = now_seconds();
  if (tty_ && now - drawn_ >= 0.1) {
    drawn_ = now;
    draw(false);
  }
}

void ProgressBar::end() {
  if (!open_) return;
  open_ = false;
  draw(true);
}

std::string ProgressBar::amount(uint64_t n) const { return unit_.empty() ? human_bytes(n) : grouped(n); }

void ProgressBar::draw(bool last) {
  const double seconds = std::max(now_seconds() - begin_, 1e-3);
  const double rate = static_cast<double>(done_ - std::min(done_, begin_bytes_)) / seconds;
  constexpr uint64_t kWorthALine = 1'000'000;  // of what stays on the screen
  const bool stays = unit_.empty() && done_ >= kWorthALine;
  if (!tty_) {
    if (last && stays) {
      fmt::print(stderr, "{}: {} ({}/s)\n", printable(name_), human_bytes(done_),
                 human_bytes(static_cast<uint64_t>(rate)));
    }
    return;
  }
  if (last && !stays) {
    fmt::print(stderr, "\r\x1b[K");
    return;
  }
  const int width = terminal_width();
  std::string right = total_ ? fmt::format(" {:>9} of {:<9}", amount(done_), amount(total_) + unit_)
                             : fmt::format(" {:>9}{}", amount(done_), unit_);
  if (unit_.empty()) right += fmt::format(" {:>9}/s", human_bytes(static_cast<uint64_t>(rate)));
  // The time that is left, at the end the time that it took.
  const double left = last ? seconds : rate > 0 ? static_cast<double>(total_ - std::min(total_, done_)) / rate : 0;
  right += fmt::format(" {:>5}", total_ || last ? human_seconds(left) : "");
  const int bar = std::clamp(width - 40 - static_cast<int>(right.size()), 0, 30);
  std::string middle;
  if (total_ && bar >= 10) {
    const auto full =
        static_cast<size_t>(static_cast<double>(bar) * static_cast<double>(done_) / static_cast<double>(total_));
    middle =
        " [" + std::string(full, '#') + std::string(static_cast<size_t>(bar) - std::min<size_t>(full, bar), '-') + "]";
  }
  const int room = std::max(width - 1 - static_cast<int>(right.size() + middle.size()), 10);
  std::string name = printable(name_);
  if (display_width(name) > static_cast<size_t>(room)) name = name.substr(name.find_last_of('/') + 1);
  name = shorten(name, static_cast<size_t>(room));
  if (!middle.empty()) name.resize(std::max<size_t>(name.size(), static_cast<size_t>(std::min(room, 36))), ' ');
  fmt::print(stderr, "\r{}{}{}\x1b[K{}", name, middle, right, last ? "\n" : "");
  std::fflush(stderr);
}

}  // namespace miao::cli
