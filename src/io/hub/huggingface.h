// Hugging Face repositories in the cache that huggingface_hub, transformers and others share:
//
//   <root>/models--ORG--NAME/refs/<rev>                   the commit that a branch or tag stood for
//                            blobs/<etag>                 SHA-256 of large files, git object name of small ones
//                            snapshots/<commit>/<path>    relative symlink to ../../blobs/<etag>
//   <root>/.locks/models--ORG--NAME/<etag>.lock
//
// The root is HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/hub.h"
#include "io/hub/ref.h"

namespace miao::io {

// What the HF_* variables say.
struct HfSettings {
  std::filesystem::path cache;
  std::string endpoint;  // without a slash at the end
  std::string token;     // may be empty
  bool symlinks = true;
  double metadata_seconds = 10, download_seconds = 10;
};
HfSettings hf_settings(const ResolveOptions& options);

Result<std::filesystem::path> resolve_hf(const ModelRef& ref, const ResolveOptions& options);
Result<Checkpoint> open_hf_headers(const ModelRef& ref, const ResolveOptions& options);
void list_hf_cache(std::vector<CachedModel>& out);
Result<Removal> plan_hf_removal(const ModelRef& ref);

// The parts of a repository's cache directory.
struct HfRepo {
  std::filesystem::path dir;    // models--ORG--NAME
  std::filesystem::path locks;  // .locks/models--ORG--NAME
  std::filesystem::path lists;  // file lists by commit, in the miao cache
};
HfRepo hf_repo(const HfSettings& settings, const std::string& name);
bool is_commit(std::string_view revision);  // 40 hexadecimal digits
// The commit that the cache knows for a revision (empty = main); empty when it knows none.
std::string cached_commit(const HfRepo& repo, const std::string& revision);

}  // namespace miao::io
