// What was measured once, kept in a SQLite file: a second run finds it, and one that was interrupted goes on from it.
//
// An entry is found by everything that its value depends on (the model's hash, the machine, the program, options), as
// JSON. Values carry a checksum; one that does not fit is as good as none. Several programs may use a file at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/result.h"

struct sqlite3;

namespace miao::compress {

class Measurements {
 public:
  // Makes the file where there is none. Errors: io, for a folder that cannot be written, and for a file that is no
  // database (delete it).
  static Result<Measurements> open(const std::filesystem::path& path);

  std::optional<nlohmann::ordered_json> find(const nlohmann::ordered_json& key) const;
  // Errors: io. The value is on the disk afterwards.
  Result<void> keep(const nlohmann::ordered_json& key, const nlohmann::ordered_json& value);
  int64_t size() const;

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  explicit Measurements(std::filesystem::path path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  Error failed(const char* what) const;

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> db_;
};

// The SHA-256 of the program or library that holds this code: another build may measure other values.
std::string build_id();

}  // namespace miao::compress
