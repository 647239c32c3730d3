// Versions of Python packages, ordered as PEP 440 says: 1.0.dev1 < 1.0a1 < 1.0 < 1.0.post1 < 1.1, 1.0 == 1.0.0.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace miao::io {

struct Version {
  uint64_t epoch = 0;
  std::vector<uint64_t> release;                             // without trailing zeros
  std::pair<int, uint64_t> pre{4, 0};                        // 0 dev release only, 1 alpha, 2 beta, 3 candidate, 4 none
  std::optional<uint64_t> post;                              // none sorts first
  uint64_t dev = ~uint64_t{0};                               // none sorts last
  std::vector<std::pair<uint64_t, std::string_view>> local;  // (number + 1, "") or (0, letters)

  bool is_prerelease() const { return pre.first < 4 || dev != ~uint64_t{0}; }
  auto key() const { return std::tie(epoch, release, pre, post, dev, local); }
  bool operator==(const Version& other) const { return key() == other.key(); }
  auto operator<=>(const Version& other) const { return key() <=> other.key(); }
};

// No value for what is no version. `text` must outlive the result (local labels point into it).
std::optional<Version> parse_version(std::string_view text);

}  // namespace miao::io
