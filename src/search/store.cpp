// See store.h. The extra bytes of the file of vectors (docs/formats/search_index.md), all numbers little endian:
//   key | u64 rows, u64 hash * rows | u64 sources | for each: u64 content, u64 settings,
//   u64 passages, u32 (begin, end, line, from, to, row) * passages
#include "search/store.h"

#include <cstring>
#include <span>

#include "base/check.h"
#include "base/log.h"

namespace miao::search {

namespace fs = std::filesystem;

namespace {

static_assert(sizeof(Passage) == 24);
constexpr size_t kLeastSource = 24;  // bytes of one without passages

void put(std::string& out, uint64_t value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); }
template <class T>
void put(std::string& out, const std::vector<T>& values) {
  put(out, uint64_t{values.size()});
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

bool get(std::string_view& in, uint64_t& value) {
  if (in.size() < sizeof value) return false;
  std::memcpy(&value, in.data(), sizeof value);
  in.remove_prefix(sizeof value);
  return true;
}
template <class T>
bool get(std::string_view& in, std::vector<T>& values) {
  uint64_t count = 0;
  if (!get(in, count) || count > in.size() / sizeof(T)) return false;
  values.resize(count);
  if (count > 0) std::memcpy(values.data(), in.data(), count * sizeof(T));
  in.remove_prefix(count * sizeof(T));
  return true;
}

// False: not what table_of() writes of so many rows.
bool parse_table(std::string_view in, Store& out) {
  if (in.size() < Store::kKeySize) return false;
  out.key = in.substr(0, Store::kKeySize);
  in.remove_prefix(Store::kKeySize);
  uint64_t count = 0;
  if (!get(in, out.hashes) || static_cast<int64_t>(out.hashes.size()) != out.vectors.rows()) return false;
  if (!get(in, count) || count > in.size() / kLeastSource) return false;
  out.sources.resize(count);
  for (SourceEntry& s : out.sources) {
    if (!get(in, s.content) || !get(in, s.settings) || !get(in, s.passages)) return false;
    for (const Passage& p : s.passages) {
      if (p.begin > p.end || p.from > p.to || p.row >= out.hashes.size()) return false;
    }
  }
  return in.empty();
}

std::string table_of(const Store& store) {
  MIAO_CHECK(store.key.size() == Store::kKeySize);
  std::string out = store.key;
  put(out, store.hashes);
  put(out, uint64_t{store.sources.size()});
  for (const SourceEntry& s : store.sources) {
    put(out, s.content);
    put(out, s.settings);
    put(out, s.passages);
  }
  return out;
}

Store empty_store(const std::string& key, int64_t dim) { return {VectorIndex(dim), key, {}, {}}; }

}  // namespace

Result<Store> Store::load(const fs::path& path, const std::string& key, int64_t dim) {
  const auto anew = [&](const char* why) {
    log_warn(path.string() + ": " + why + "; it is made anew");
    return empty_store(key, dim);
  };
  auto loaded = VectorIndex::load(path);
  if (!loaded.ok()) {
    const Code code = loaded.error().code;
    if (code == Code::not_found) return empty_store(key, dim);
    if (code == Code::unsupported) return anew("the search index is of another version of miao");
    const bool ours = code == Code::invalid && path.extension() == kExtension && is_regular_file(path);
    if (code == Code::corrupt || ours) return anew("the search index is damaged");
    if (code == Code::invalid) loaded.error().message += "; name another file for it";
    return loaded.error();
  }
  Store out{std::move(loaded->index), {}, {}, {}};
  if (!parse_table(loaded->extra, out)) return anew("the search index is damaged");
  if (out.key != key) {
    return Error{Code::invalid,
                 "is the index of another model, or of other settings of it; name another file, or delete this one",
                 path.string()};
  }
  if (out.vectors.dim() != dim) return anew("the search index is damaged");
  return out;
}

Result<void> Store::save(const fs::path& path) const { return vectors.save(path, table_of(*this)); }

std::vector<IndexFile> list_indexes(const fs::path& folder) {
  std::vector<IndexFile> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const uint64_t bytes = it->file_size(ignored);
    if (!ignored && it->path().filename().string().find(Store::kExtension) != std::string::npos) {
      out.push_back({it->path(), bytes});
    }
  }
  return out;
}

}  // namespace miao::search
