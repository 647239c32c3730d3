// A search's report as files beside the model.
#include <fmt/format.h>

#include <cctype>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "compress/compress_report.h"

namespace miao::compress {

namespace {

std::string kv_flag(const CompressReport& r) {
  const Candidate* const c = r.chosen >= 0 ? &r.candidates[static_cast<size_t>(r.chosen)] : nullptr;
  if (!c || !c->kv) return {};
  std::string name = kernels::kv_format(*c->kv).name;
  for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return " --kv " + name;
}

std::string reproduction(const CompressReport& r, const CompressOptions& o) {
  std::error_code error;
  const auto path = std::filesystem::absolute(r.model, error);
  return fmt::format(
      "#!/bin/sh\n# Writes the model of this folder again, byte for byte.\ncd \"$(dirname \"$0\")\" &&\n"
      "exec miao quantize {} -o again.gguf --type {} --pure --tensor-types types.txt --calibration {}{}{}\n",
      shell_quoted(path.string()), r.main_type,
      o.text.empty() && !r.wording.encoder ? "own --seed " + std::to_string(o.seed) : "calibration.txt", kv_flag(r),
      o.threads > 0 ? fmt::format(" --threads {}", o.threads) : "");
}

}  // namespace

Result<void> write_reports(const std::filesystem::path& folder, const CompressReport& report,
                           const ReportContext& context, const CompressOptions& options) {
  MIAO_CHECK_OK(write_file_atomic(folder / "report.json", dump_json(to_json(report, context), 2) + "\n"));
  MIAO_CHECK_OK(write_file_atomic(folder / "report.html", to_html(report, context)));
  MIAO_CHECK_OK(write_file_atomic(folder / "report.md", to_markdown(report, context)));
  return write_file_atomic(folder / "reproduce.sh", reproduction(report, options));
}

}  // namespace miao::compress
