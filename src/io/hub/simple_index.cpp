// HTML pages of indexes are flat lists of links, so a scanner for <a ...> tags is enough.
#include "io/hub/simple_index.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/json.h"
#include "io/hub/http.h"
#include "io/hub/ref.h"
#include "io/hub/version.h"

namespace miao::io {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

// Fills version and rank from the file name; false when it is no wheel or source archive of the package.
bool read_name(PackageFile& file, const std::string& package) {
  if (!is_safe_relative(file.name) || file.name.find('/') != std::string::npos) return false;
  const std::string_view name = file.name;
  if (name.ends_with(".whl")) {
    const auto parts = split(name.substr(0, name.size() - 4), '-');
    if ((parts.size() != 5 && parts.size() != 6) || normal_package_name(parts[0]) != package) return false;
    file.version = parts[1];
    const std::string_view python = parts[parts.size() - 3], abi = parts[parts.size() - 2], platform = parts.back();
    const bool any_python = python.find("py3") != std::string_view::npos;
    file.rank = abi != "none" ? 3 : platform == "any" && any_python ? 0 : 1;
    return true;
  }
  std::string_view stem;
  for (const std::string_view ending : {".tar.gz", ".tgz", ".zip"}) {
    if (name.ends_with(ending)) stem = name.substr(0, name.size() - ending.size());
  }
  file.rank = 2;
  for (size_t dash = stem.find('-'); dash != std::string_view::npos; dash = stem.find('-', dash + 1)) {
    file.version = stem.substr(dash + 1);
    if (normal_package_name(stem.substr(0, dash)) == package && parse_version(file.version)) return true;
  }
  return false;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<std::vector<PackageFile>> parse_json_page(std::string_view body, const std::string& url,
                                                 const std::string& package) {
  MIAO_TRY(const Json root, parse_json(body, url_for_people(url)));
  std::vector<PackageFile> out;
  const auto files = root.is_object() ? root.find("files") : root.end();
  if (!root.is_object() || files == root.end() || !files->is_array()) {
    return Error{Code::corrupt, "the index page has no list of files", url_for_people(url)};
  }
  auto text = [](const Json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  for (const Json& item : *files) {
    if (!item.is_object()) continue;
    PackageFile file{.name = text(item, "filename")};
    auto link = join_url(url, text(item, "url"));
    if (!link.ok() || !read_name(file, package)) continue;
    file.url = link->substr(0, link->find('#'));
    if (const auto hashes = item.find("hashes"); hashes != item.end() && hashes->is_object()) {
      file.sha256 = lower(text(*hashes, "sha256"));
    }
    if (const auto size = item.find("size"); size != item.end() && size->is_number_unsigned())
      file.size = size->get<uint64_t>();
    const auto yanked = item.find("yanked");
    file.yanked = yanked != item.end() && (yanked->is_string() || (yanked->is_boolean() && yanked->get<bool>()));
    if (!is_sha256(file.sha256)) file.sha256.clear();
    out.push_back(std::move(file));
  }
  return out;
}

std::string decode_entities(std::string_view text) {
  constexpr std::pair<std::string_view, char> kEntities[] = {{"&amp;", '&'},  {"&#38;", '&'},  {"&lt;", '<'},
                                                             {"&gt;", '>'},   {"&quot;", '"'}, {"&#34;", '"'},
                                                             {"&#39;", '\''}, {"&#x27;", '\''}};
  std::string out;
  while (!text.empty()) {
    bool found = false;
    for (const auto& [entity, c] : kEntities) {
      if (!text.starts_with(entity)) continue;
      out += c;
      text.remove_prefix(entity.size());
      found = true;
      break;
    }
    if (found) continue;
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

// The value of an attribute in the inside of a tag; no value when it is absent.
std::optional<std::string> attribute(std::string_view tag, std::string_view name) {
  size_t at = 0;
  const std::string lowered = lower(tag);
  while ((at = lowered.find(name, at)) != std::string::npos) {
    const bool begins = at > 0 && std::string_view(" \t\r\n\"'").find(tag[at - 1]) != std::string_view::npos;
    at += name.size();
    if (!begins) continue;
    std::string_view rest = tag.substr(at);
    const size_t equals = rest.find_first_not_of(" \t\r\n");
    if (equals == std::string_view::npos || rest[equals] != '=') {
      if (equals != 0) return std::string();  // an attribute without a value
      continue;                               // a longer name
    }
    const size_t open = rest.find_first_not_of(" \t\r\n", equals + 1);
    if (open == std::string_view::npos) return std::string();
    if (rest[open] != '"' && rest[open] != '\'') {
      return decode_entities(rest.substr(open, rest.find_first_of(" \t\r\n", open) - open));
    }
    const size_t close = rest.find(rest[open], open + 1);
    return decode_entities(rest.substr(open + 1, close == std::string_view::npos ? close : close - open - 1));
  }
  return std::nullopt;
}

std::vector<PackageFile> parse_html_page(std::string_view body, std::string base, const std::string& package) {
  std::vector<PackageFile> out;
  size_t at = 0;
  while ((at = body.find('<', at)) != std::string_view::npos) {
    const size_t close = body.find('>', at);
    if (close == std::string_view::npos) break;
    const std::string_view tag = body.substr(at + 1, close - at - 1);
    at = close + 1;
    const std::string head = lower(tag.substr(0, 5));
    if (head == "base ") {
      const auto href = attribute(tag, "href");
      if (auto joined = join_url(base, href.value_or("")); joined.ok()) base = *joined;
    }
    if (head.size() < 2 || head[0] != 'a' || !std::isspace(static_cast<unsigned char>(head[1]))) continue;
    const auto href = attribute(tag, "href");
    if (!href) continue;
    auto link = join_url(base, *href);
    if (!link.ok()) continue;
    const size_t hash = link->find('#');
    PackageFile file{.name = url_file_name(*link), .url = link->substr(0, hash)};
    if (!read_name(file, package)) continue;
    if (hash != std::string::npos && link->compare(hash + 1, 7, "sha256=") == 0)
      file.sha256 = lower(link->substr(hash + 8, 64));
    if (!is_sha256(file.sha256)) file.sha256.clear();
    file.yanked = attribute(tag, "data-yanked").has_value();
    out.push_back(std::move(file));
  }
  return out;
}

}  // namespace

Result<std::vector<PackageFile>> parse_index_page(std::string_view content_type, std::string_view body,
                                                  const std::string& url, const std::string& package) {
  if (content_type.find("json") != std::string_view::npos) return parse_json_page(body, url, package);
  return parse_html_page(body, url, package);
}

Result<PackageFile> choose_file(const std::vector<PackageFile>& files, const std::string& version,
                                const std::string& place) {
  const auto wanted = parse_version(version);
  const PackageFile* best = nullptr;
  std::optional<Version> best_version;
  for (const PackageFile& file : files) {
    auto own = parse_version(file.version);
    if (!own) continue;
    if (!version.empty()) {
      if (file.version != version && (!wanted || *wanted != *own)) continue;
    }
    // Not yanked, final, newer, better kind: in this order.
    auto grade = [](const PackageFile& f, const Version& v) { return std::tuple(!f.yanked, !v.is_prerelease()); };
    bool better = !best;
    if (best) {
      const auto mine = grade(file, *own), theirs = grade(*best, *best_version);
      better = mine != theirs ? mine > theirs : *own != *best_version ? *own > *best_version : file.rank < best->rank;
    }
    if (!better) continue;
    best = &file;
    best_version = std::move(own);
  }
  if (best) return *best;
  if (files.empty()) return Error{Code::not_found, "the package index has no wheel or source archive of it", place};
  std::vector<std::string> known;
  for (const PackageFile& file : files) {
    if (std::find(known.begin(), known.end(), file.version) == known.end()) known.push_back(file.version);
  }
  std::string list;
  for (size_t i = known.size() > 10 ? known.size() - 10 : 0; i < known.size(); ++i)
    list += (list.empty() ? "" : ", ") + known[i];
  return Error{Code::not_found, "no version " + version + " in the package index; it has " + list, place};
}

}  // namespace miao::io
