#include "measure/page.h"

#include <fmt/format.h>

namespace miao::measure {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #1c1c1a; --muted: #5f5e58; --grid: #e2e1dc; --card: #ffffff;
  --warn: #8a5a00; --s1: #2a62c9; --s2: #c2542d; --s3: #2a8a5f; --s4: #8b4fb3; }
@media (prefers-color-scheme: dark) {
  :root { --page: #171716; --ink: #eceae4; --muted: #a3a19a; --grid: #3a3936; --card: #1f1f1d;
    --warn: #e6b656; --s1: #7aa5f5; --s2: #f0916b; --s3: #69c79b; --s4: #c79be8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.2rem 4rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: .6rem 0; }
p { margin: .3rem 0; max-width: 48rem; }
.muted { color: var(--muted); }
.warn { color: var(--warn); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; border-bottom: 1px solid var(--grid); vertical-align: top; }
th { font-weight: 600; color: var(--muted); white-space: normal; vertical-align: bottom; }
td small, th small { display: block; color: var(--muted); }
td.n, th.n { text-align: right; padding: .3rem 0 .3rem .8rem; }
td.n { white-space: nowrap; }
td.n + td:not(.n), th.n + th:not(.n) { padding-left: 1rem; }
.figures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr));
  margin: 1rem 0; max-width: 72rem; }
figure { margin: 0; padding: .8rem; background: var(--card); border: 1px solid var(--grid); border-radius: 8px;
  min-width: 0; max-width: 44rem; }
figcaption b { display: block; }
.key { display: inline-flex; align-items: center; gap: .4rem; margin-right: 1rem; font-size: .85rem;
  color: var(--muted); }
.key i { width: 1rem; height: .6rem; border-radius: 2px; }
.key i.line { height: .2rem; }
.key i.dashes { height: 0; border-top: 2px dashed var(--muted); border-radius: 0; }
.key i.dot { width: .6rem; border-radius: 50%; }
.key[role] { cursor: pointer; }
.key.off { opacity: .4; text-decoration: line-through; }
.tip { position: fixed; z-index: 1; max-width: 24rem; padding: .2rem .5rem; border-radius: 4px; font-size: .85rem;
  background: var(--ink); color: var(--page); pointer-events: none; }
.tip:empty { display: none; }
.key i.ring { width: .6rem; border: 2px solid; border-radius: 50%; }
svg { width: 100%; min-width: 26rem; height: auto; display: block; font-family: inherit; }
svg text { fill: var(--muted); font-size: 13px; }
svg text.label { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
svg text.cell { fill: var(--ink); font-size: 11px; }
svg .grid { stroke: var(--grid); stroke-width: 1; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; font-size: .85rem; }
details { margin-top: .5rem; font-size: .9rem; }
summary { cursor: pointer; color: var(--muted); }
@media (max-width: 30rem) {
  body { padding: 1rem .7rem 2rem; }
  table { font-size: .8rem; }
  th, td { padding-right: .4rem; }
  td.n, th.n { padding-left: .4rem; }
  td small, th small { font-size: .7rem; }
}
)";

// Where scripts run: a key of a legend shows and hides its marks, and the mark next to the pointer says what it is, for
// which it otherwise has a title that comes late.
constexpr const char* kScript = R"(
for (const figure of document.querySelectorAll('figure')) {
  figure.querySelectorAll('.key').forEach((key, i) => {
    const flip = () => {
      const off = key.classList.toggle('off');
      key.setAttribute('aria-checked', !off);
      for (const marks of figure.querySelectorAll(`[data-s="${i}"]`)) marks.style.display = off ? 'none' : '';
    };
    key.tabIndex = 0;
    key.setAttribute('role', 'switch');
    key.setAttribute('aria-checked', true);
    key.addEventListener('click', flip);
    key.addEventListener('keydown', (e) => {
      if (e.key !== 'Enter' && e.key !== ' ') return;
      e.preventDefault();
      flip();
    });
  });
  const marks = [...figure.querySelectorAll('svg * > title')].map((title) => {
    const mark = title.parentElement;
    mark.setAttribute('aria-label', title.textContent);
    title.remove();
    return mark;
  });
  if (!marks.length) continue;
  const tip = figure.appendChild(document.createElement('div'));
  tip.className = 'tip';
  figure.querySelector('svg').addEventListener('pointermove', (e) => {
    let best = 20, nearest;
    for (const mark of marks) {
      const box = mark.getBoundingClientRect();
      if (!box.width) continue;
      const x = Math.max(box.left - e.clientX, 0, e.clientX - box.right);
      const y = Math.max(box.top - e.clientY, 0, e.clientY - box.bottom);
      if (Math.hypot(x, y) < best) best = Math.hypot(x, y), nearest = mark;
    }
    tip.textContent = nearest ? nearest.getAttribute('aria-label') : '';
    tip.style.left = Math.min(e.clientX + 12, innerWidth - tip.offsetWidth - 4) + 'px';
    tip.style.top = e.clientY + 16 + 'px';
  });
  figure.querySelector('svg').addEventListener('pointerleave', () => (tip.textContent = ''));
}
)";

const char* key_shape(Mark mark) {
  switch (mark) {
    case Mark::line:
      return "line";
    case Mark::dashes:
      return "dashes";
    case Mark::dots:
    case Mark::linked:
    case Mark::cloud:
      return "dot";
    case Mark::rings:
      return "ring";
    case Mark::band:
    case Mark::bars:
      break;
  }
  return "area";
}

std::string legend(const Chart& chart) {
  if (chart.series.size() < 2) return {};
  std::string out;
  for (const Series& s : chart.series) {
    const std::string colour = s.colour == 0 ? "var(--muted)" : fmt::format("var(--s{})", s.colour);
    out += fmt::format("<span class=\"key\"><i class=\"{}\" style=\"{}\"></i>{}</span>\n", key_shape(s.mark),
                       s.mark == Mark::dashes || s.mark == Mark::rings
                           ? "border-color:" + colour
                           : fmt::format("background:{}{}", colour, s.mark == Mark::band ? ";opacity:.3" : ""),
                       escape_html(s.name));
  }
  return out;
}

std::string folded(std::string details) {
  return details.empty() ? details : "<details><summary>As a table</summary>\n" + std::move(details) + "</details>\n";
}

std::string points_table(const Chart& chart) {
  std::vector<std::vector<Cell>> rows;
  bool spreads = false;
  const auto dots = [](Mark m) { return m == Mark::dots || m == Mark::linked; };
  for (const Series& s : chart.series) {
    for (const Point& p : s.points) spreads = spreads || (dots(s.mark) && p.high > p.low);
  }
  for (const Series& s : chart.series) {
    if (!dots(s.mark) && s.mark != Mark::bars) continue;
    for (const Point& p : s.points) {
      const std::string x = s.mark == Mark::bars ? p.label : short_number(p.x);
      rows.push_back({{dots(s.mark) && !p.label.empty() ? p.label : s.name}, number(x), number(short_number(p.y))});
      if (spreads) rows.back().push_back(number(short_number(p.low) + " to " + short_number(p.high)));
    }
  }
  if (rows.empty()) return {};
  std::vector<Cell> head{{""}, number(chart.x_label), number(chart.y_label)};
  if (spreads) head.push_back(number("slowest to fastest"));
  return table(head, rows);
}

}  // namespace

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n"
      "<style>{}</style></head><body>\n{}<script>{}</script></body></html>\n",
      escape_html(title), kStyle, body, kScript);
}

std::string table(const std::vector<Cell>& head, const std::vector<std::vector<Cell>>& rows) {
  const auto line = [](const std::vector<Cell>& cells, const char* tag) {
    std::string out = "<tr>";
    for (const Cell& cell : cells) {
      const std::string note = cell.note.empty() ? "" : "<small>" + escape_html(cell.note) + "</small>";
      out += fmt::format("<{0}{1}>{2}{3}</{0}>", tag, cell.number ? " class=\"n\"" : "", escape_html(cell.text), note);
    }
    return out + "</tr>\n";
  };
  std::string out = "<div class=\"scroll\"><table>\n" + line(head, "th");
  for (const auto& row : rows) out += line(row, "td");
  return out + "</table></div>\n";
}

std::string markdown_table(const std::vector<Cell>& head, const std::vector<std::vector<Cell>>& rows) {
  const auto line = [](const std::vector<Cell>& cells) {
    std::string out = "|";
    for (const Cell& cell : cells) {
      std::string words = cell.text + (cell.note.empty() ? "" : " (" + cell.note + ")");
      for (size_t at = 0; (at = words.find_first_of("|<\n", at)) != std::string::npos;) {
        const char* const safe = words[at] == '|' ? "\\|" : words[at] == '<' ? "&lt;" : " ";
        words.replace(at, 1, safe);
        at += std::string_view(safe).size();
      }
      out += " " + words + " |";
    }
    return out + "\n";
  };
  std::string out = line(head) + "|";
  for (const Cell& cell : head) out += cell.number ? "--:|" : ":--|";
  out += "\n";
  for (const auto& row : rows) out += line(row);
  return out;
}

std::string profile_table(std::string_view title, const std::vector<std::pair<std::string, double>>& seconds,
                          double tokens) {
  double sum = 0;
  for (const auto& step : seconds) sum += step.second;
  if (sum <= 0) return {};
  std::vector<std::vector<Cell>> rows;
  for (const auto& [name, of_step] : seconds) {
    rows.push_back({{name},
                    number(fmt::format("{:.2f}", 1e6 * of_step / tokens)),
                    number(fmt::format("{:.1f} %", 100 * of_step / sum))});
  }
  return fmt::format("<div><h3>{}: where the time goes</h3>\n{}</div>\n", escape_html(title),
                     table({{"step"}, number("us per token"), number("share")}, rows));
}

std::string figure(const Chart& chart, std::string details) {
  if (details.empty()) details = points_table(chart);
  return fmt::format("<figure><figcaption><b>{}</b>\n{}</figcaption>\n<div class=\"scroll\">{}</div>\n{}</figure>\n",
                     escape_html(chart.title), legend(chart), svg(chart), folded(std::move(details)));
}

std::string figure(std::string_view title, std::string_view svg, std::string details) {
  return fmt::format("<figure><figcaption><b>{}</b></figcaption>\n<div class=\"scroll\">{}</div>\n{}</figure>\n",
                     escape_html(title), svg, folded(std::move(details)));
}

std::string side_by_side(std::string_view figures) {
  return figures.empty() ? "" : fmt::format("<div class=\"figures\">\n{}</div>\n", figures);
}

}  // namespace miao::measure
