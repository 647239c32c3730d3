// Fuzzes the unpacking of packages. The first byte chooses: a zip file, a tar.gz file, or the tar inside one, which is
// compressed here so that its checksum fits. Nothing is written outside the folder, and nothing but model files.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/check.h"
#include "io/hub/archive.h"
#include "io/testing.h"

namespace fs = std::filesystem;

namespace {

// The checksum of a header that a mutation has changed would hide all that comes after it.
void mend_checksums(std::string& tar) {
  for (size_t at = 0; at + 512 <= tar.size() && tar[at];) {
    char* const header = &tar[at];
    std::fill_n(header + 148, 8, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(header[i]);
    std::snprintf(header + 148, 8, "%06o", sum);
    const size_t bytes = std::strtoull(std::string(header + 124, 12).c_str(), nullptr, 8);
    at += 512 + (std::min(bytes, tar.size()) + 511) / 512 * 512;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const miao::io::TempDir dir;
  const fs::path into = dir / "into";
  fs::remove_all(into);
  fs::create_directory(into);
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  fs::path archive = dir / (data[0] % 3 == 0 ? "a.whl" : "a.tar.gz");
  if (data[0] % 3 == 2) {
    mend_checksums(bytes);
    gzFile file = gzopen(archive.c_str(), "wb0");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
  } else {
    std::ofstream(archive, std::ios::binary) << bytes;
  }
  const auto count = miao::io::extract_models(archive, into, {});
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(into)) {
    MIAO_CHECK(!entry.is_symlink());
    if (!entry.is_regular_file()) continue;
    ++files;
    MIAO_CHECK(miao::io::is_model_file(entry.path().lexically_relative(into).string()));
  }
  MIAO_CHECK(!count.ok() || *count == files);
  files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(dir.path())) ++files;
  MIAO_CHECK(files <= 3);  // the folder and the two archives
  return 0;
}
