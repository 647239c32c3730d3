// The pages of a Python package index: JSON (PEP 691) and HTML (PEP 503) to a list of files, and the choice among them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::io {

struct PackageFile {
  std::string name;     // file name
  std::string url;      // absolute, without fragment
  std::string sha256;   // lower case, or empty
  std::string version;  // as in the file name
  uint64_t size = 0;    // 0 = unknown
  bool yanked = false;
  int rank = 0;  // 0 wheel for any Python and platform, 1 other wheel without ABI, 2 source archive, 3 other wheel
};

// Files of `package` (normal form) on a page; files of other kinds and names are left out.
Result<std::vector<PackageFile>> parse_index_page(std::string_view content_type, std::string_view body,
                                                  const std::string& url, const std::string& package);

// The best file of `version`, or of the newest version (final and not yanked ones first). Ties keep the given order.
Result<PackageFile> choose_file(const std::vector<PackageFile>& files, const std::string& version,
                                const std::string& place);

}  // namespace miao::io
