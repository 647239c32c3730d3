// Where pip looks is described in its user guide under "Configuration"; the order here is the same.
#include "io/hub/pip_config.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <sstream>

#include "base/env.h"
#include "base/file.h"
#include "io/hub/cache.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

std::string normal_key(std::string_view key) {
  std::string out(key);
  for (char& c : out) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

}  // namespace

std::map<std::string, std::string> parse_ini(std::string_view text) {
  std::map<std::string, std::string> out;
  std::string section;
  std::string* last = nullptr;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view body = trim(line);
    if (body.empty() || body[0] == '#' || body[0] == ';') continue;
    if (last && std::isspace(static_cast<unsigned char>(line[0]))) {
      last->append(" ").append(body);
      continue;
    }
    last = nullptr;
    if (body.front() == '[' && body.back() == ']') {
      section = normal_key(trim(body.substr(1, body.size() - 2)));
      continue;
    }
    const size_t cut = body.find_first_of("=:");
    if (cut == std::string_view::npos) continue;
    last = &out[section + "." + normal_key(trim(body.substr(0, cut)))];
    *last = trim(body.substr(cut + 1));
  }
  return out;
}

std::vector<fs::path> pip_config_files() {
  std::vector<fs::path> out;
  const std::string own = env("PIP_CONFIG_FILE").value_or("");
  if (own == "/dev/null") return out;  // pip's way to say: no files
  std::istringstream dirs(env("XDG_CONFIG_DIRS").value_or("/etc/xdg"));
  std::vector<fs::path> global;
  for (std::string dir; std::getline(dirs, dir, ':');) {
    if (!dir.empty()) global.push_back(fs::path(dir) / "pip" / "pip.conf");
  }
  out.assign(global.rbegin(), global.rend());
  out.push_back("/etc/pip.conf");
  std::error_code ignored;
  if (own.empty() || !fs::exists(own, ignored)) {
    out.push_back(home_directory() / ".pip" / "pip.conf");
    const auto config = env("XDG_CONFIG_HOME");
    out.push_back((config ? fs::path(*config) : home_directory() / ".config") / "pip" / "pip.conf");
  }
  if (const auto venv = env("VIRTUAL_ENV")) out.push_back(fs::path(*venv) / "pip.conf");
  if (!own.empty()) out.push_back(own);
  return out;
}

PipSettings pip_settings() {
  std::map<std::string, std::string> values;
  for (const char* section : {"global.", "install."}) {
    for (const fs::path& path : pip_config_files()) {
      auto text = read_file(path, 1 << 20);
      if (!text.ok()) continue;
      for (auto& [key, value] : parse_ini(*text)) {
        if (key.starts_with(section)) values[key.substr(key.find('.') + 1)] = value;
      }
    }
  }
  const std::pair<const char*, const char*> variables[] = {
      {"PIP_INDEX_URL", "index-url"},
      {"PIP_EXTRA_INDEX_URL", "extra-index-url"},
      {"PIP_TRUSTED_HOST", "trusted-host"},
      {"PIP_CERT", "cert"},
      {"PIP_PROXY", "proxy"},
      {"PIP_NO_INDEX", "no-index"},
      {"PIP_DEFAULT_TIMEOUT", "timeout"},
      {"PIP_TIMEOUT", "timeout"},
  };
  for (const auto& [name, key] : variables) {
    if (const auto value = env(name)) values[key] = *value;
  }
  PipSettings out;
  out.indexes = words(values["index-url"]);
  if (out.indexes.empty()) out.indexes.push_back("https://pypi.org/simple");
  for (const std::string& url : words(values["extra-index-url"])) out.indexes.push_back(url);
  out.trusted_hosts = words(values["trusted-host"]);
  if (!values["cert"].empty()) out.ca_file = expand_home(values["cert"]).string();
  out.proxy = values["proxy"];
  const std::string off = normal_key(values["no-index"]);
  out.no_index = off == "1" || off == "true" || off == "yes" || off == "on";
  const std::string& timeout = values["timeout"];
  double seconds = 0;
  std::from_chars(timeout.data(), timeout.data() + timeout.size(), seconds);
  if (seconds > 0 && seconds < 1e6) out.timeout_seconds = seconds;
  return out;
}

}  // namespace miao::io
