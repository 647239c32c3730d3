#include "cli/engine_flags.h"

#include <CLI/CLI.hpp>
#include <cctype>

#include "base/log.h"
#include "cli/interrupt.h"
#include "io/hub.h"

namespace miao::cli {

std::vector<std::string> dtype_names() { return {"auto", "fp32", "f32", "bf16x3", "bf16x2", "int8"}; }

std::vector<std::string> kv_names() {
  std::vector<std::string> names;
  for (const kernels::KvFormat& f : kernels::kKvFormats) {
    names.emplace_back(f.name);
    for (char& c : names.back()) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  names.emplace_back("fp32");
  return names;
}

void add_engine_flags(CLI::App& app, EngineFlags& flags, bool threads) {
  constexpr const char* kGroup = "Engine";
  if (threads) {
    app.add_option("-t,--threads", flags.threads, "Threads; 0 = the cores that this machine or container allows")
        ->check(CLI::Range(0, 1024))
        ->type_name("N")
        ->group(kGroup);
  }
  app.add_option("-c,--ctx", flags.ctx, "Positions of prompt and answer together; 0 = the model's own, at most 4096")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N")
      ->group(kGroup);
  app.add_option(
         "--dtype", flags.dtype,
         "auto = as the file stores the weights; fp32 = everything in FP32; bf16x3 = FP32 by products of bf16, faster "
         "for many tokens on processors with AMX; bf16x2 = the same with 16 of 24 bits, faster still; int8 = floating "
         "weights as int8")
      ->check(CLI::IsMember(dtype_names()))
      ->type_name("TYPE")
      ->group(kGroup);
  app.add_option("--kv", flags.kv,
                 "Keys and values: f32, f16, bf16, int8 or int4, the last two in half and a quarter of the memory of "
                 "f16. Unset = what the file asks for, else f16; f32 where the weights compute in FP32")
      ->check(CLI::IsMember(kv_names()))
      ->type_name("TYPE")
      ->group(kGroup);
  app.add_option("--chunk", flags.chunk,
                 "Tokens of a prompt that go through the model together; no result depends on it")
      ->check(CLI::Range(1, 4096))
      ->type_name("N")
      ->group(kGroup);
}

runtime::EngineOptions EngineFlags::options() const {
  runtime::EngineOptions out;
  out.threads = threads;
  out.ctx = ctx;
  out.chunk = chunk;
  if (io::packs_wanted()) out.packs = io::packs_folder();
  out.cancel = &interrupted();
  if (dtype == "bf16x2") out.compute = runtime::Compute::bf16x2;
  if (dtype == "bf16x3") out.compute = runtime::Compute::bf16x3;
  if (dtype == "int8") out.compute = runtime::Compute::int8;
  if (dtype == "fp32" || dtype == "f32") out.compute = runtime::Compute::f32;
  out.kv = kernels::kv_from_name(kv);
  return out;
}

Result<std::unique_ptr<runtime::Engine>> open_engine(const std::filesystem::path& path,
                                                     const runtime::EngineOptions& options) {
  MIAO_TRY(auto engine, runtime::Engine::open(path, options));
  if (engine->memory().cached) log_info("packed weights: from the cache");
  for (const auto& group : engine->kernels()) {
    log_info(group.weights + ": " + group.format + ", " + group.gemv + ", " + group.gemm);
  }
  return engine;
}

Result<std::unique_ptr<runtime::Engine>> open_engine(const ModelArgument& model, const runtime::EngineOptions& options,
                                                     const Common& common) {
  MIAO_TRY(const std::filesystem::path path, find_model(model, common));
  return open_engine(path, options);
}

}  // namespace miao::cli
