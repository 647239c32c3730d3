// A parsed model reference (the forms are in io/hub.h).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::io {

struct ModelRef {
  enum class Kind { path, hf, pypi, url };
  Kind kind = Kind::path;
  std::string name;            // path, ORG/REPO, package name in its normal form, or URL without fragment
  std::string revision;        // hf: empty = main. pypi: version, empty = newest
  std::string file;            // file inside the repository or package, or a quantisation tag
  std::string sha256;          // url: from the fragment
  std::vector<ModelRef> more;  // pypi: packages that have the rest of its files

  std::string str() const;
};

// Existing paths win over everything but a scheme.
Result<ModelRef> parse_ref(std::string_view ref);

// "Foo.Bar_baz" -> "foo-bar-baz" (PEP 503).
std::string normal_package_name(std::string_view name);
// No empty, "." or ".." part, no leading slash, no backslash, no control character: safe to join to a directory.
bool is_safe_relative(std::string_view path);

}  // namespace miao::io
