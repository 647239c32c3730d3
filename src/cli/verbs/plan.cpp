// miao plan: what a model would need and how fast it would be here, before it is fetched or loaded.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/json.h"
#include "cli/bench/measure.h"
#include "cli/checks.h"
#include "cli/engine_flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/plan/text.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "compress/plan.h"
#include "io/checkpoint.h"
#include "io/hub.h"
#include "models/model.h"

namespace miao::cli {

extern const Verb verb_plan;

namespace {

struct Options {
  ModelArgument model;
  EngineFlags engine;
  int64_t users = 1;
  std::optional<int64_t> prompt, gen;
  std::string type, token, memory;
  std::vector<std::string> types = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_XS"};
  bool no_speed = false, refresh = false;
};

// "8G", "512M", "1.5GB", "2GiB", "123456": bytes; nothing where it is none of these.
std::optional<uint64_t> parse_bytes(const std::string& text) {
  double number = 0;
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  if (end == 0 || !CLI::detail::lexical_cast(text.substr(0, end), number)) return std::nullopt;
  const std::string unit = CLI::detail::to_lower(text.substr(end));
  constexpr std::string_view kPrefixes = "kmgt";
  double factor = 1;
  if (!unit.empty() && unit != "b") {
    const size_t power = kPrefixes.find(unit[0]);
    const std::string_view rest = std::string_view(unit).substr(1);
    if (power == std::string_view::npos || (rest != "" && rest != "b" && rest != "ib")) return std::nullopt;
    for (size_t i = 0; i <= power; ++i) factor *= rest == "ib" ? 1024 : 1000;
  }
  const double bytes = number * factor;
  return bytes < 1e18 ? std::optional(static_cast<uint64_t>(bytes)) : std::nullopt;
}

Result<int> run(const Options& o, const Common& common) {
  compress::PlanOptions plan;
  plan.engine = o.engine.options();
  plan.engine.packs.clear();
  plan.users = o.users;
  plan.prompt = o.prompt;
  plan.gen = o.gen;
  plan.speed = !o.no_speed;
  const int64_t needed = o.prompt.value_or(0) + o.gen.value_or(o.prompt ? measure::ForecastCase().gen : 0);
  if (plan.engine.ctx == 0 && needed > models::kDefaultCtx) plan.engine.ctx = needed;  // more than the engine's own
  if (!o.type.empty()) {
    const auto recipe = compress::Recipe::named(o.type);
    if (!recipe.ok()) return usage_error(verb_plan, "--type: " + recipe.error().message);
    plan.type = *recipe;
  }
  for (const std::string& name : o.types) {
    if (name.empty() || name == "none") continue;
    const auto recipe = compress::Recipe::named(name);
    if (!recipe.ok()) return usage_error(verb_plan, "--types: " + recipe.error().message);
    plan.others.emplace_back(recipe->name());
  }
  if (!o.memory.empty()) plan.free = parse_bytes(o.memory);

  ProgressBar bar(common.quiet, " files");
  io::ResolveOptions resolve{.offline = o.model.offline, .refresh = o.refresh, .token = o.token};
  resolve.progress = [&](const io::Progress& p) { bar.update(p.name, p.done, p.total); };
  resolve.cancel = &interrupted();
  MIAO_TRY(const io::Checkpoint model, io::open_headers(o.model.ref, resolve));
  bar.end();
  std::optional<Doing> doing;
  plan.progress = [&](std::string_view what) {
    doing.reset();
    doing.emplace(common, fmt::format("measuring {}", what));
  };
  MIAO_TRY(const compress::Plan made, compress::make_plan(model, plan));
  doing.reset();
  if (common.json) {
    out().line(dump_json(plan_json(made, o.model.ref), 2));
  } else {
    out().write(plan_text(made, o.model.ref));
  }
  return static_cast<int>(made.model.fits ? kOk : kUnmet);
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  const auto count = [&](const char* names, auto& value, int64_t least, int64_t most, const char* help) {
    app.add_option(names, value, help)->check(CLI::Range(least, most))->type_name("N");
  };
  count("-u,--users", o->users, 1, 1 << 16, "Texts that are worked on side by side");
  count("-p,--prompt", o->prompt, 1, 1 << 24,
        "Tokens of a prompt, or of an encoder's input; unset = 512 (128), or what the context allows");
  count("-n,--gen", o->gen, 1, 1 << 24, "Tokens of an answer; unset = 128, or what the context allows");
  app.add_option("--type", o->type, "Plan what it would be after miao quantize --type")->type_name("MIX");
  app.add_option("--types", o->types, "Mixes to put beside it; none = no table of them")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("MIX,...");
  app.add_option("--memory", o->memory, "Plan for so much free memory (8G, 512MiB) instead of what is free here")
      ->check(CLI::Validator(
          [](std::string& text) {
            return parse_bytes(text) ? std::string() : "'" + text + "' is not an amount of memory, as 8G or 512MiB";
          },
          ""))
      ->type_name("SIZE");
  app.add_flag("--no-speed", o->no_speed, "Measure nothing: memory alone");
  app.add_flag("--refresh", o->refresh, "Read the headers of the newest revision although a copy is cached");
  app.add_option("--token", o->token, "Access token for Hugging Face, instead of HF_TOKEN")->type_name("TOKEN");
  add_engine_flags(app, o->engine);
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_plan = {
    .name = "plan",
    .group = "Models",
    .summary = "Tell what a model would need and how fast it would be, before it is fetched",
    .details =
        "Reads the headers alone: of a model that is not here they come by HTTP ranges, some hundred kilobytes to some "
        "megabytes, and nothing is kept. Memory is what the engine itself counts, for --users texts of --ctx "
        "positions, against what this machine or container has free. Exit code 3 where that does not fit.\n\n"
        "Speeds are measured here: some of the model's blocks, in its shapes and types but with weights of zeros, run "
        "for a moment, and the time of all of them follows. Prefill reads --prompt tokens for each user, decode is a "
        "token for each in the middle of an answer of --gen tokens.\n\n"
        "The table shows what the model would be after miao quantize in some --types.",
    .examples =
        "miao plan hf:Qwen/Qwen3-0.6B                        # before a download\n"
        "miao plan hf:ORG/REPO-GGUF:Q4_K_M --ctx 32768       # with a long context\n"
        "miao plan model.gguf --users 16 --memory 8G         # for a server with 8 GB free\n"
        "miao plan model.gguf --type Q4_K_M --types none     # after miao quantize\n"
        "miao plan model.gguf --json | jq .model.fits",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
