#include "cli/lengths.h"

#include "base/file.h"
#include "cli/encode/texts.h"

namespace miao::cli {

CLI::Validator length_distribution() {
  return CLI::Validator(
      [](std::string& text) {
        if (text.starts_with("file:") && text.size() > 5) return std::string();
        const auto read = measure::LengthDistribution::parse(text, kMaxLength);
        return read.ok() ? std::string() : "'" + text + "': " + read.error().message;
      },
      "");
}

Result<measure::LengthDistribution> lengths_of(const std::string& text, const Result<const prep::Tokenizer*>& tokenizer,
                                               int64_t most) {
  if (!text.starts_with("file:")) return measure::LengthDistribution::parse(text, most);
  if (!tokenizer.ok()) return tokenizer.error();
  MIAO_TRY(const std::string lines, read_file(text.substr(5), size_t{256} << 20));
  std::vector<int64_t> lengths;
  for (const std::string& line : lines_of(lines)) {
    MIAO_TRY(const auto ids, (*tokenizer)->encode(line));
    if (!ids.empty()) lengths.push_back(static_cast<int64_t>(ids.size()));
  }
  return measure::LengthDistribution::of(std::move(lengths), most, text);
}

}  // namespace miao::cli
