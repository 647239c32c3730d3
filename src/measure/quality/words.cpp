#include "measure/quality/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>

namespace miao::measure {

namespace {

bool part_of_word(utf8proc_int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return c == '\'';
  }
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  constexpr utf8proc_int32_t kRightQuote = 0x2019;  // a typographer's apostrophe
  utf8proc_uint8_t* mapped = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &mapped, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  std::vector<std::string> out;
  std::string word;
  const auto end = [&] {
    if (!word.empty()) out.push_back(std::move(word));
    word.clear();
  };
  for (utf8proc_ssize_t at = 0; at < size;) {  // none where the text is no UTF-8: size is an error code then
    utf8proc_int32_t c = 0;
    at += std::max<utf8proc_ssize_t>(1, utf8proc_iterate(mapped + at, size - at, &c));
    if (c == kRightQuote) c = '\'';
    if (c < 0 || !part_of_word(c)) {
      end();
      continue;
    }
    utf8proc_uint8_t bytes[4];
    const auto n = utf8proc_encode_char(utf8proc_tolower(c), bytes);
    word.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
  }
  end();
  return out;
}

int64_t word_errors(std::span<const std::string> said, std::span<const std::string> heard) {
  std::vector<int64_t> row(heard.size() + 1);
  std::iota(row.begin(), row.end(), int64_t{0});
  for (size_t i = 0; i < said.size(); ++i) {
    int64_t before = row[0]++;
    for (size_t j = 0; j < heard.size(); ++j) {
      const int64_t changed = before + (said[i] != heard[j]);
      before = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace miao::measure
