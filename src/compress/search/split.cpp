#include "compress/search/split.h"

#include <algorithm>

namespace miao::compress {

namespace {

constexpr size_t kStripes = 60;

// The first good place to cut at or behind `at`: never inside of a character.
size_t cut(std::string_view text, size_t at) {
  constexpr size_t kNear = 400;
  if (at >= text.size()) return text.size();
  const std::string_view near = text.substr(at, kNear);
  for (const std::string_view mark : {"\n\n", "\n", ". ", " "}) {
    if (const size_t found = near.find(mark); found != std::string_view::npos) return at + found + mark.size();
  }
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

}  // namespace

std::vector<Set> split_items(size_t items, const std::array<double, kSets>& shares) {
  std::vector<Set> out;
  std::array<double, kSets> got{};
  for (size_t i = 1; i <= items; ++i) {
    size_t most = 0;  // the set that lacks most
    for (size_t s = 1; s < kSets; ++s) {
      if (shares[s] * static_cast<double>(i) - got[s] > shares[most] * static_cast<double>(i) - got[most]) most = s;
    }
    got[most] += 1;
    out.push_back(static_cast<Set>(most));
  }
  return out;
}

std::array<std::string, kSets> split_text(std::string_view text, const std::array<double, kSets>& shares) {
  std::array<std::string, kSets> out;
  std::array<double, kSets> got{};
  for (size_t stripe = 0, at = 0; stripe < kStripes && at < text.size(); ++stripe) {
    const size_t end =
        stripe + 1 == kStripes ? text.size() : cut(text, std::max(at, text.size() * (stripe + 1) / kStripes));
    size_t most = 0;  // the set that lacks most
    for (size_t s = 1; s < kSets; ++s) {
      const double part = static_cast<double>(end) / static_cast<double>(text.size());
      if (shares[s] * part - got[s] > shares[most] * part - got[most]) most = s;
    }
    got[most] += static_cast<double>(end - at) / static_cast<double>(text.size());
    if (!out[most].empty() && out[most].back() != '\n') out[most] += '\n';
    out[most] += text.substr(at, end - at);
    at = end;
  }
  return out;
}

}  // namespace miao::compress
