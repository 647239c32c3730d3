#include "compress/verify.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "compress/canary.h"
#include "io/checkpoint.h"
#include "io/gguf_writer.h"

namespace miao::compress {

namespace {

constexpr uint64_t kPiece = uint64_t{8} << 20;  // between looks at `cancel`

Result<bool> same(const io::Checkpoint& file, const TensorView& t, std::string_view want, uint64_t& done,
                  const VerifyOptions& options) {
  Hasher hasher;
  for (uint64_t at = 0; at < t.bytes; at += kPiece) {
    if (options.cancel && options.cancel->load(std::memory_order_relaxed)) {
      return Error{Code::cancelled, "interrupted", {}};
    }
    const uint64_t n = std::min(kPiece, t.bytes - at);
    hasher.add({reinterpret_cast<const char*>(t.data + at), static_cast<size_t>(n)});
    done += n;
    if (options.progress) options.progress(done, file.bytes());
  }
  file.release({t.data, static_cast<size_t>(t.bytes)});
  return hasher.hex() == want;
}

// In the order of the tensors. Safetensors files hold them as one text, with blanks between.
Result<std::vector<std::string_view>> checksums(const io::Checkpoint& file) {
  std::vector<std::string_view> out;
  if (!file.meta().has(io::kChecksumsKey)) return out;
  if (file.kind() == io::Checkpoint::Kind::gguf) {
    MIAO_TRY(const KeyValues::Strings* sums, file.meta().strings(io::kChecksumsKey));
    out.assign(sums->begin(), sums->end());
    return out;
  }
  MIAO_TRY(std::string_view text, file.meta().string(io::kChecksumsKey));
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

Result<void> check_tensors(const io::Checkpoint& file, const VerifyOptions& options, VerifyReport& report) {
  MIAO_TRY(const std::vector<std::string_view> sums, checksums(file));
  if (sums.empty()) return {};
  if (static_cast<int64_t>(sums.size()) != report.tensors) {
    return Error{Code::corrupt,
                 "has " + std::to_string(sums.size()) + " checksums for " + std::to_string(report.tensors) +
                     " tensors; fetch or write the file again",
                 file.path().string()};
  }
  uint64_t done = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    const TensorView& t = file.tensors()[i];
    MIAO_TRY(const bool good, same(file, t, sums[i], done, options));
    ++report.checked;
    report.bytes += t.bytes;
    if (!good) report.damaged.push_back(t.name);
  }
  return {};
}

Result<void> check_canary(const io::Checkpoint& file, const VerifyOptions& options, VerifyReport& report) {
  if (!file.meta().has(kCanaryLogits)) return {};
  if (!options.canary) {
    report.canary = VerifyReport::Canary::skipped;
    return {};
  }
  MIAO_TRY(const KeyValues::Ints* numbers, file.meta().integers(kCanaryIds));
  MIAO_TRY(const std::string_view want, file.meta().string(kCanaryLogits));
  const std::vector<int32_t> ids(numbers->begin(), numbers->end());
  MIAO_TRY(const std::string got, canary_digest(file.path(), ids, options.threads, options.cancel));
  report.canary = got == want ? VerifyReport::Canary::same : VerifyReport::Canary::differs;
  return {};
}

}  // namespace

Result<VerifyReport> verify_file(const std::filesystem::path& model, const VerifyOptions& options) {
  MIAO_TRY(const io::Checkpoint file, io::Checkpoint::open(model));
  VerifyReport report;
  report.tensors = static_cast<int64_t>(file.tensors().size());
  MIAO_TRY(const std::string_view writer, file.meta().string(kWriterKey, ""));
  report.writer = writer;
  MIAO_CHECK_OK(check_tensors(file, options, report));
  // A model whose weights are known to be wrong need not run.
  if (report.damaged.empty()) MIAO_CHECK_OK(check_canary(file, options, report));
  return report;
}

}  // namespace miao::compress
