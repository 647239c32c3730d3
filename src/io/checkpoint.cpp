// Which files make up a checkpoint, and the joining of their tensors under one set of names.
#include "io/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>
#include <unordered_set>

#include "base/check.h"
#include "io/files/format.h"
#include "io/files/shard_index.h"
#include "io/gguf_writer.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxIndexBytes = 64 << 20;
constexpr size_t kMaxTextBytes = 128 << 20;

struct FileFormat {
  Checkpoint::Kind kind;
  std::string_view extension;
  bool (*matches)(Bytes);
  Result<ParsedFile> (*parse)(Bytes, const std::string&, std::optional<uint64_t> file_bytes);
};
constexpr FileFormat kFileFormats[] = {
    {Checkpoint::Kind::gguf, ".gguf", looks_like_gguf, parse_gguf},
    {Checkpoint::Kind::safetensors, ".safetensors", looks_like_safetensors, parse_safetensors},
    {Checkpoint::Kind::ct2, ".bin", looks_like_ct2,
     [](Bytes bytes, const std::string& path, std::optional<uint64_t>) { return parse_ct2(bytes, path); }},
};

// The content decides; the extension only picks the parser that explains what is wrong with a damaged file.
Result<const FileFormat*> detect(Bytes bytes, const fs::path& path) {
  for (const FileFormat& f : kFileFormats) {
    if (f.matches(bytes)) return &f;
  }
  if (auto foreign = recognise_foreign(bytes, path.string())) return std::move(*foreign);
  for (const FileFormat& f : kFileFormats) {
    if (path.extension() == f.extension) return &f;
  }
  return foreign_file(bytes, path.string());
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// NAME-00002-of-00003.EXT
struct PartName {
  std::string prefix;
  int number, count;
  std::string of(int part, std::string_view extension) const {
    char middle[32];
    std::snprintf(middle, sizeof middle, "-%05d-of-%05d", part, count);
    return prefix + middle + std::string(extension);
  }
};

std::optional<PartName> part_name(std::string_view file, std::string_view extension) {
  constexpr size_t kTail = std::string_view("-00001-of-00001").size();
  if (!file.ends_with(extension)) return std::nullopt;
  file.remove_suffix(extension.size());
  if (file.size() <= kTail) return std::nullopt;
  const std::string_view tail = file.substr(file.size() - kTail);
  auto digits = [](std::string_view text) {
    int value = -1;
    const bool all = text.find_first_not_of("0123456789") == std::string_view::npos;
    if (all) std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  PartName out{std::string(file.substr(0, file.size() - kTail)), digits(tail.substr(1, 5)), digits(tail.substr(10, 5))};
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || out.number < 1 || out.count < out.number) return std::nullopt;
  return out;
}

// A shard's file, from its plain name. A link may lead to the directory itself or to the blobs of a hub cache
// (../../blobs), where every snapshot's files are links.
Result<fs::path> shard_on_disk(const fs::path& index, std::string_view name) {
  const std::string where = index.string();
  const fs::path directory = index.parent_path().empty() ? fs::path(".") : index.parent_path();
  const fs::path path = directory / name;
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  if (error) {
    return Error{Code::not_found, "names the shard " + in_quotes(name) + ", which is missing: fetch it again", where};
  }
  const fs::path home = target.parent_path();
  std::error_code ignored;
  if (home != fs::canonical(directory, ignored) && home != fs::canonical(directory / ".." / ".." / "blobs", ignored)) {
    return Error{Code::invalid,
                 "names the shard " + in_quotes(name) + ", a link that leaves the directory; copy the file there",
                 where};
  }
  return path;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const fs::path& path) {
  Checkpoint out(path);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return Error{Code::not_found, "does not exist; give a .gguf file, a .safetensors file or a model directory",
                 path.string()};
  }
  if (error) return Error{Code::io, "cannot be read: " + error.message(), path.string()};
  MIAO_CHECK_OK(fs::is_directory(status) ? out.open_directory() : out.open_file(path));
  MIAO_CHECK_OK(out.index_tensors());
  return out;
}

Result<Checkpoint> Checkpoint::planned(const fs::path& path, const GgufMetadata& metadata,
                                       std::vector<TensorView> tensors) {
  Checkpoint out(path);
  const auto header = std::make_shared<const std::string>(gguf_header(metadata));
  MIAO_TRY(ParsedFile parsed, parse_gguf(std::as_bytes(std::span(*header)), path.string()));
  out.meta_ = std::move(parsed.meta);
  out.meta_.keep(header);
  out.gguf_keys_ = std::move(parsed.gguf_keys);
  out.tensors_ = std::move(tensors);
  MIAO_CHECK_OK(out.index_tensors());
  return out;
}

bool Checkpoint::has_file(const fs::path& path) const { return heads_ ? head(path) != nullptr : is_file(path); }

Result<std::string> Checkpoint::read_text(const fs::path& path, size_t max_bytes) const {
  if (!has_file(path)) return Error{Code::not_found, "is missing or not a regular file", path.string()};
  if (heads_) return head(path)->bytes;
  MIAO_TRY(std::string text, read_file(path, max_bytes));
  if (is_lfs_pointer(text)) return foreign_file(std::as_bytes(std::span(text)), path.string());
  return text;
}

Result<fs::path> Checkpoint::shard_path(const fs::path& index, std::string_view name) const {
  return heads_ ? Result<fs::path>(index.parent_path() / name) : shard_on_disk(index, name);
}

Result<void> Checkpoint::index_tensors() {
  by_name_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const std::string& name = tensors_[i].name;
    if (by_name_.emplace(name, i).second) continue;
    return Error{Code::corrupt, "tensor " + in_quotes(name) + " is in two parts of the model; fetch it again",
                 path_.string()};
  }
  return {};
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

uint64_t Checkpoint::bytes() const {
  uint64_t sum = 0;  // of ranges of mapped files that are disjoint or, of an alias, the same
  std::unordered_set<const std::byte*> seen;
  for (const TensorView& t : tensors_) {
    if (t.bytes > 0 && (!t.data || hollow_ || seen.insert(t.data).second)) sum += t.bytes;
  }
  return sum;
}

fs::path Checkpoint::first_file() const {
  std::error_code ignored;
  return files_.empty() ? fs::path() : fs::weakly_canonical(files_[0]->path(), ignored);
}

std::string Checkpoint::identity() const {
  std::string out;
  size_t tensor = 0;
  for (size_t i = 0; i < files_.size(); ++i) {
    out += files_[i]->identity() + '\n';
    for (; tensor < tensor_ends_[i]; ++tensor) {
      const TensorView& t = tensors_[tensor];
      out += t.name + ' ' + std::to_string(t.data - files_[i]->bytes().data()) + '\n';
    }
  }
  return out;
}

void Checkpoint::release(std::span<const std::byte> range) const {
  if (range.empty()) return;
  for (const auto& file : files_) {
    const Bytes bytes = file->bytes();
    const std::less<const std::byte*> before;
    if (before(range.data(), bytes.data()) || !before(range.data(), bytes.data() + bytes.size())) continue;
    const auto left = static_cast<size_t>(bytes.data() + bytes.size() - range.data());
    file->release(range.first(std::min(range.size(), left)));
    return;
  }
}

Result<std::optional<std::string>> Checkpoint::text_file(std::string_view name) const {
  MIAO_CHECK(!name.empty() && !fs::path(name).is_absolute() && name.find("..") == std::string_view::npos);
  if (directory_.empty()) return std::optional<std::string>();
  const fs::path path = directory_ / name;
  std::error_code ignored;
  const bool absent = heads_ ? !head(path) : fs::status(path, ignored).type() == fs::file_type::not_found;
  if (absent) return std::optional<std::string>();
  MIAO_TRY(std::string text, read_text(path, kMaxTextBytes));
  return std::optional<std::string>(std::move(text));
}

Result<Checkpoint::FileBytes> Checkpoint::open_bytes(const fs::path& path) const {
  if (heads_) {
    const Head* const found = head(path);
    if (!found) return Error{Code::not_found, "is missing", path.string()};
    return FileBytes{nullptr, std::as_bytes(std::span(found->bytes)), found->size};
  }
  MIAO_TRY(MappedFile mapped, MappedFile::open(path));
  auto file = std::make_shared<const MappedFile>(std::move(mapped));
  return FileBytes{file, file->bytes(), file->bytes().size()};
}

// Maps and parses one file and takes its tensors; gives back its key/values, which keep the mapping alive.
Result<KeyValues> Checkpoint::add_file(const fs::path& path) {
  MIAO_TRY(const FileBytes opened, open_bytes(path));
  MIAO_TRY(const FileFormat* found, detect(opened.bytes, path));
  if (!tensor_ends_.empty() && found->kind != kind_) {
    return Error{Code::invalid, "is of another format than the other files of the model; fetch it again",
                 path.string()};
  }
  kind_ = found->kind;
  MIAO_TRY(ParsedFile parsed, found->parse(opened.bytes, path.string(), opened.size));
  std::move(parsed.tensors.begin(), parsed.tensors.end(), std::back_inserter(tensors_));
  if (tensor_ends_.empty()) gguf_keys_ = std::move(parsed.gguf_keys);
  tensor_ends_.push_back(tensors_.size());
  if (opened.file) files_.push_back(opened.file);
  parsed.meta.keep(opened.file);
  parsed.meta.keep(heads_);
  return std::move(parsed.meta);
}

Result<void> Checkpoint::open_file(const fs::path& path) {
  MIAO_TRY(const FileBytes opened, open_bytes(path));
  MIAO_TRY(const FileFormat* found, detect(opened.bytes, path));
  if (found->kind == Kind::gguf) return open_gguf(path);
  if (found->kind == Kind::ct2) return open_ct2(path);
  directory_ = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  if (const auto part = part_name(path.filename().string(), found->extension)) {
    return open_index(directory_ / (part->prefix + ".safetensors.index.json"));
  }
  MIAO_TRY(meta_, add_file(path));
  return has_file(directory_ / "config.json") ? read_config() : Result<void>();
}

Result<void> Checkpoint::open_gguf(const fs::path& path) {
  const auto part = part_name(path.filename().string(), ".gguf");
  if (!part) {
    MIAO_TRY(meta_, add_file(path));
    MIAO_TRY(const int64_t count, meta_.integer("split.count", 1));
    if (count <= 1) return {};
    return Error{Code::invalid,
                 "is one of " + std::to_string(count) + " parts of a model; name the parts NAME-00001-of-" +
                     std::to_string(100000 + count).substr(1) + ".gguf as they were",
                 path.string()};
  }
  for (int i = 1; i <= part->count; ++i) {
    const fs::path file = path.parent_path() / part->of(i, ".gguf");
    if (!has_file(file)) {
      return Error{Code::not_found,
                   "is missing: part " + std::to_string(i) + " of " + std::to_string(part->count) +
                       "; put all parts into one directory",
                   file.string()};
    }
    MIAO_TRY(KeyValues meta, add_file(file));
    MIAO_TRY(const int64_t count, meta.integer("split.count", 1));
    MIAO_TRY(const int64_t number, meta.integer("split.no", 0));
    if (count != part->count || number != i - 1) {
      return Error{Code::corrupt,
                   "says it is part " + std::to_string(number) + " (counted from 0) of " + std::to_string(count) +
                       ", not what its name says; fetch it again",
                   file.string()};
    }
    if (i == 1) meta_ = std::move(meta);
  }
  const auto total = static_cast<int64_t>(tensors_.size());
  MIAO_TRY(const int64_t declared, meta_.integer("split.tensors.count", total));
  if (declared == total) return {};
  return Error{Code::corrupt,
               "declares " + std::to_string(declared) + " tensors but its parts hold " + std::to_string(total) +
                   "; fetch them again",
               path.string()};
}

Result<void> Checkpoint::open_ct2(const fs::path& path) {
  directory_ = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  MIAO_TRY(const KeyValues header, add_file(path));
  MIAO_CHECK_OK(read_config());
  for (const auto& [key, value] : header) {
    if (!meta_.set(key, value)) return Error{Code::invalid, "must not set " + in_quotes(key), meta_.source()};
  }
  meta_.keep(files_.back());
  return {};
}

Result<void> Checkpoint::open_directory() {
  directory_ = path_;
  if (has_file(directory_ / "model.safetensors")) {
    MIAO_TRY(const KeyValues header, add_file(directory_ / "model.safetensors"));
    MIAO_CHECK_OK(read_config());
    for (const auto& [key, value] : header) {  // what our own writer says of the file
      const auto* const text = std::get_if<std::string_view>(&value);
      if (text && key.starts_with("miao.")) meta_.set(key, meta_.intern(std::string(*text)));
    }
    return {};
  }
  if (has_file(directory_ / "model.safetensors.index.json"))
    return open_index(directory_ / "model.safetensors.index.json");
  if (heads_) return Error{Code::not_found, "has no model.safetensors and no index of shards", path_.string()};

  std::set<std::string> ggufs;  // one name a model: the first part stands for a split set
  bool safetensors = false, pickle = false;
  std::error_code error;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string(), extension = it->path().extension().string();
    if (extension == ".gguf") {
      const auto part = part_name(name, ".gguf");
      ggufs.insert(part ? PartName{part->prefix, 1, part->count}.of(1, ".gguf") : name);
    }
    safetensors |= extension == ".safetensors";
    pickle |= extension == ".bin" || extension == ".pth" || extension == ".pt";
  }
  const std::string where = path_.string();
  if (error) return Error{Code::io, "cannot be listed: " + error.message(), where};
  if (ggufs.size() == 1 && !safetensors) {
    directory_.clear();
    return open_gguf(path_ / *ggufs.begin());
  }
  if (ggufs.empty() && !safetensors && is_file(directory_ / "model.bin")) return open_ct2(directory_ / "model.bin");
  if (safetensors) {
    return Error{
        Code::not_found,
        "has .safetensors files but neither model.safetensors nor model.safetensors.index.json: fetch the missing "
        "file, or give one .safetensors file",
        where};
  }
  if (ggufs.size() > 1) {
    return Error{Code::invalid,
                 "holds " + std::to_string(ggufs.size()) + " GGUF models; give one of them, such as " +
                     in_quotes(*ggufs.begin()),
                 where};
  }
  if (pickle) {
    return Error{Code::unsupported,
                 "has its weights only as PyTorch pickles, which can run code; convert them to safetensors, or take a "
                 "repository that has model.safetensors",
                 where};
  }
  return Error{Code::not_found,
               is_file(path_ / "config.json")
                   ? "has config.json but no weights: model.safetensors is missing, fetch it"
                   : "holds no model: no model.safetensors, no model.safetensors.index.json, no .gguf file and no "
                     "model.bin",
               where};
}

// The shards hold exactly the tensors that the index places there.
Result<void> Checkpoint::open_index(const fs::path& index) {
  const std::string where = index.string();
  MIAO_TRY(const std::string text, read_text(index, kMaxIndexBytes));
  MIAO_TRY(const ShardIndex placed, parse_shard_index(text, where));
  auto damaged = [&](std::string message) {
    return Error{Code::corrupt, std::move(message) + "; fetch it again", where};
  };
  for (const std::string& shard : placed.shards) {
    MIAO_TRY(const fs::path path, shard_path(index, shard));
    const size_t first = tensors_.size();
    MIAO_CHECK_OK(add_file(path));
    for (size_t i = first; i < tensors_.size(); ++i) {
      const auto it = placed.shard_of.find(tensors_[i].name);
      if (it != placed.shard_of.end() && it->second == shard) continue;
      return damaged("does not place tensor " + in_quotes(tensors_[i].name) + " in " + in_quotes(shard) +
                     ", which holds it");
    }
  }
  std::set<std::string_view> held;
  for (const TensorView& t : tensors_) held.insert(t.name);
  for (const auto& [name, shard] : placed.shard_of) {
    if (!held.contains(name))
      return damaged("places tensor " + in_quotes(name) + " in " + in_quotes(shard) + ", which lacks it");
  }
  return read_config();
}

Result<void> Checkpoint::read_config() {
  const fs::path path = directory_ / "config.json";
  MIAO_TRY(const std::string text, read_text(path, KeyValues::kMaxJsonBytes));
  MIAO_TRY(meta_, KeyValues::from_json(text, path.string()));
  return {};
}

}  // namespace miao::io
