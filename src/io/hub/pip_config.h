// The index settings of pip: its configuration files and variables, so that a machine that can install packages can
// fetch models the same way.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace miao::io {

struct PipSettings {
  std::vector<std::string> indexes;  // index-url, then extra-index-url; may hold logins
  std::vector<std::string> trusted_hosts;
  std::string ca_file, proxy;
  bool no_index = false;
  double timeout_seconds = 15;
};

// Later ones win: global, user and site files, $PIP_CONFIG_FILE, then PIP_* variables; [install] wins over [global].
PipSettings pip_settings();
// The files that are read, first to last.
std::vector<std::filesystem::path> pip_config_files();

// "section.key" -> value of an INI text; continuation lines are joined by spaces, keys use '-', both in lower case.
std::map<std::string, std::string> parse_ini(std::string_view text);

}  // namespace miao::io
