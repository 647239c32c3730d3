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
#include <vector>

#include "base/result.h"

struct sqlite3;

namespace miao::compress {

class Measurements {
 public:
  // Makes the file where there is none. One that is damaged, or no database at all, is set aside as "<name>.damaged"
  // with a warning, and a new one begun. Errors: io, for a folder that cannot be written; unsupported, of a newer
  // program.
  static Result<Measurements> open(const std::filesystem::path& path);

  std::optional<nlohmann::ordered_json> find(const nlohmann::ordered_json& key) const;
  // Errors: io. The value is on the disk afterwards.
  Result<void> keep(const nlohmann::ordered_json& key, const nlohmann::ordered_json& value);
  int64_t size() const;

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  static Result<Measurements> open_whole(const std::filesystem::path& path);
  explicit Measurements(std::filesystem::path path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  Error failed(const char* what) const;

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> db_;
};

// What searches keep in a cache folder: the store, damaged ones that were set aside, importance matrices.
inline std::filesystem::path store_file(const std::filesystem::path& cache) { return cache / "measurements.sqlite"; }
inline std::filesystem::path importance_folder(const std::filesystem::path& cache) { return cache / "importance"; }
struct KeptFile {
  std::filesystem::path path;
  uint64_t bytes = 0;
};
std::vector<KeptFile> list_measurements(const std::filesystem::path& cache);

// The SHA-256 of the program or library that holds this code: another build may measure other values.
std::string build_id();

}  // namespace miao::compress
