#include "measure/chart/svg.h"

#include <fmt/format.h>

#include <algorithm>

namespace miao::measure {

namespace {

constexpr double kLetter = 7.4, kAscent = 11, kDescent = 3;  // of 13px letters, about

struct Place {
  double dx, dy;  // of the text's begin, middle or end, on its base line
  const char* anchor;
};
// Beside the mark, the likelier first, and farther off.
constexpr Place kRight[] = {{8, 16, "start"}, {8, 4, "start"}, {8, -7, "start"}};
constexpr Place kLeft[] = {{-8, 16, "end"}, {-8, 4, "end"}, {-8, -7, "end"}};
constexpr Place kOff[] = {{0, -12, "middle"}, {0, 24, "middle"}, {24, -20, "start"}, {-24, -20, "end"},
                          {24, 32, "start"},  {-24, 32, "end"},  {34, -40, "start"}, {-34, -40, "end"},
                          {34, 52, "start"},  {-34, 52, "end"},  {44, -62, "start"}, {-44, -62, "end"},
                          {44, 74, "start"},  {-44, 74, "end"}};

}  // namespace

std::string svg_begin(std::string_view title, std::string_view description, double width, double height) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\"><title>{}</title>"
      "<desc>{}</desc>\n",
      width, height, escape_html(title), escape_html(description));
}

std::string svg_text(double x, double y, const char* anchor, const char* css, std::string_view words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", x, y, anchor, css,
                     escape_html(words));
}

std::string svg_line(const char* css, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", css, x1, y1, x2,
                     y2);
}

std::string svg_colour(int index) { return index == 0 ? "var(--muted)" : fmt::format("var(--s{})", index); }

double Labels::cost(const Box& box) const {
  const auto common = [&](const Box& other) {
    const double width = std::min(box.right, other.right) - std::max(box.left, other.left);
    const double height = std::min(box.bottom, other.bottom) - std::max(box.top, other.top);
    return std::max(0.0, width) * std::max(0.0, height);
  };
  double out = 10 * ((box.right - box.left) * (box.bottom - box.top) - common(picture_));
  for (const Box& other : taken_) out += common(other);
  return out;
}

std::string Labels::put(double x, double y, bool to_the_left, std::string_view words) {
  const double width = kLetter * static_cast<double>(words.size());
  std::vector<Place> places;
  const auto add = [&](const auto& some) { places.insert(places.end(), std::begin(some), std::end(some)); };
  to_the_left ? add(kLeft) : add(kRight);
  to_the_left ? add(kRight) : add(kLeft);
  add(kOff);
  const auto box_of = [&](const Place& p) {
    const double left = x + p.dx - (*p.anchor == 'e' ? width : *p.anchor == 'm' ? width / 2 : 0);
    return Box{left, y + p.dy - kAscent, left + width, y + p.dy + kDescent};
  };
  const Place best = *std::ranges::min_element(places, {}, [&](const Place& p) { return cost(box_of(p)); });
  taken_.push_back(box_of(best));
  std::string out;
  if (std::abs(best.dx) > 8) {  // from the mark to the middle of the letters
    out += svg_line("grid", x, y, x + best.dx, y + best.dy - kAscent / 2 + 1);
  }
  return out + svg_text(x + best.dx, y + best.dy, best.anchor, "label", words);
}

}  // namespace miao::measure
