// A search as people and programs read it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "compress/compress.h"
#include "measure/machine.h"

namespace miao::compress {

struct ReportContext {
  std::string version, date, command;
  measure::Machine machine;
};

constexpr int kCompressSchema = 1;  // of the JSON; fields may come without a new number
nlohmann::ordered_json to_json(const CompressReport& report, const ReportContext& context);
// For a terminal: what was chosen, what it keeps, what it takes.
std::string to_text(const CompressReport& report);
// One page, self-contained: light or dark as the reader's system.
std::string to_html(const CompressReport& report, const ReportContext& context);
std::string to_markdown(const CompressReport& report, const ReportContext& context);
// report.json, report.html, report.md, and reproduce.sh, which gives the same bytes whatever times are measured then.
Result<void> write_reports(const std::filesystem::path& folder, const CompressReport& report,
                           const ReportContext& context, const CompressOptions& options);

}  // namespace miao::compress
