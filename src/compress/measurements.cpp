#include "compress/measurements.h"

#include <dlfcn.h>
#include <sqlite3.h>

#include <array>

#include "base/json.h"
#include "base/log.h"
#include "base/sha256.h"

namespace miao::compress {

namespace fs = std::filesystem;

namespace {

constexpr int kBusyMs = 10'000;
constexpr int64_t kSchema = 1;
constexpr const char* kDamaged = ".damaged";
constexpr std::array<const char*, 3> kParts = {"", "-wal", "-shm"};  // of a database, behind its name
constexpr const char* kTable =
    "CREATE TABLE IF NOT EXISTS measurements("
    "key TEXT PRIMARY KEY, about TEXT NOT NULL, value TEXT NOT NULL, sha256 TEXT NOT NULL,"
    "made INTEGER NOT NULL DEFAULT (unixepoch())) WITHOUT ROWID";

struct Finalize {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Statement prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* s = nullptr;
  sqlite3_prepare_v2(db, sql, -1, &s, nullptr);
  return Statement(s);
}
void bind_text(sqlite3_stmt* s, int place, const std::string& text) {
  sqlite3_bind_text(s, place, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}
std::string column(sqlite3_stmt* s, int place) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(s, place));
  return text ? std::string(text, static_cast<size_t>(sqlite3_column_bytes(s, place))) : std::string();
}
// One text for one key, in whatever order its members stand.
std::string canonical(const Json& key) { return nlohmann::json(key).dump(); }
int64_t number(sqlite3* db, const char* sql) {
  const Statement s = prepare(db, sql);
  return s && sqlite3_step(s.get()) == SQLITE_ROW ? sqlite3_column_int64(s.get(), 0) : -1;
}
// Whether all pages belong together. A database that others hold is not looked at.
bool sound(sqlite3* db) {
  const Statement s = prepare(db, "PRAGMA quick_check(1)");
  const int state = s ? sqlite3_step(s.get()) : sqlite3_errcode(db) & 0xff;
  return state == SQLITE_ROW ? column(s.get(), 0) == "ok" : (state & 0xff) != SQLITE_CORRUPT;
}

}  // namespace

void Measurements::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

Error Measurements::failed(const char* what) const {
  return {Code::io, std::string(what) + ": " + (db_ ? sqlite3_errmsg(db_.get()) : "no memory"), path_.string()};
}

Result<Measurements> Measurements::open(const std::filesystem::path& path) {
  auto whole = open_whole(path);
  if (whole.ok() || whole.error().code != Code::corrupt) return whole;
  for (const char* const part : kParts) {
    std::error_code error;  // not all of them are there
    std::filesystem::rename(path.string() + part, path.string() + kDamaged + part, error);
  }
  log_warn(whole.error().str() + "; it is set aside as " + path.filename().string() + kDamaged +
           ", and what it held is measured anew");
  return open_whole(path);
}

Result<Measurements> Measurements::open_whole(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  sqlite3* db = nullptr;
  const int opened = sqlite3_open_v2(
      path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  Measurements out(path, db);
  if (opened != SQLITE_OK) return out.failed("cannot be opened");
  sqlite3_busy_timeout(db, kBusyMs);
  sqlite3_exec(db, "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr);  // where the disk allows it
  const int64_t schema = number(db, "PRAGMA user_version");
  const int state = sqlite3_errcode(db) & 0xff;
  const bool damaged = schema < 0 && (state == SQLITE_CORRUPT || state == SQLITE_NOTADB);
  if (damaged || (schema >= 0 && !sound(db))) return Error{Code::corrupt, "is damaged", path.string()};
  if (schema < 0) return out.failed("cannot be read");
  if (schema > kSchema) return Error{Code::unsupported, "was made by a newer miao; delete it", path.string()};
  if (sqlite3_exec(db, kTable, nullptr, nullptr, nullptr) != SQLITE_OK ||
      sqlite3_exec(db, ("PRAGMA user_version=" + std::to_string(kSchema)).c_str(), nullptr, nullptr, nullptr) !=
          SQLITE_OK) {
    return out.failed("cannot be written");
  }
  return out;
}

std::optional<Json> Measurements::find(const Json& key) const {
  const Statement s = prepare(db_.get(), "SELECT value, sha256 FROM measurements WHERE key = ?");
  if (!s) return std::nullopt;
  bind_text(s.get(), 1, sha256_hex(canonical(key)));
  if (sqlite3_step(s.get()) != SQLITE_ROW) return std::nullopt;
  const std::string value = column(s.get(), 0);
  if (sha256_hex(value) != column(s.get(), 1)) return std::nullopt;
  auto parsed = parse_json(value, "measurement");
  if (!parsed.ok()) return std::nullopt;
  return std::move(*parsed);
}

Result<void> Measurements::keep(const Json& key, const Json& value) {
  const Statement s =
      prepare(db_.get(), "INSERT OR REPLACE INTO measurements(key, about, value, sha256) VALUES(?, ?, ?, ?)");
  if (!s) return failed("cannot be written");
  const std::string about = canonical(key), text = value.dump();
  bind_text(s.get(), 1, sha256_hex(about));
  bind_text(s.get(), 2, about);
  bind_text(s.get(), 3, text);
  bind_text(s.get(), 4, sha256_hex(text));
  if (sqlite3_step(s.get()) != SQLITE_DONE) return failed("cannot be written");
  return {};
}

int64_t Measurements::size() const { return number(db_.get(), "SELECT count(*) FROM measurements"); }

std::vector<KeptFile> list_measurements(const std::filesystem::path& cache) {
  std::vector<KeptFile> out;
  const auto add = [&](const std::filesystem::path& path) {
    std::error_code error;
    const uint64_t bytes = std::filesystem::file_size(path, error);
    if (!error) out.push_back({path, bytes});
  };
  const std::string store = store_file(cache).string();
  for (const std::string& name : {store, store + kDamaged}) {
    for (const char* const part : kParts) add(name + part);
  }
  std::error_code error;
  fs::directory_iterator at(importance_folder(cache), error);
  for (const fs::directory_iterator end; !error && at != end; at.increment(error)) {
    if (at->path().extension() == ".gguf") add(at->path());
  }
  return out;
}

std::string build_id() {
  static const std::string id = [] {
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void*>(&build_id), &info) == 0 || !info.dli_fname) return std::string("unknown");
    // A program's own name may be relative to a folder that is no longer the current one.
    auto own = sha256_file(info.dli_fname);
    if (!own.ok()) own = sha256_file("/proc/self/exe");
    return own.ok() ? *own : std::string("unknown");
  }();
  return id;
}

}  // namespace miao::compress
