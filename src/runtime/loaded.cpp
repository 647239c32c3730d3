// See loaded.h.
#include "runtime/loaded.h"

#include "base/cpu.h"
#include "base/env.h"
#include "runtime/text.h"

namespace miao::runtime {

namespace {

constexpr int kMaxThreads = 1024;

Result<const kernels::Kernels*> choose_kernels(const std::string& isa) {
  auto table = kernels::select(cpu_features(), isa.empty() ? env("MIAO_ISA").value_or("") : isa);
  if (!table.ok() && isa.empty()) {
    table.error().where = "MIAO_ISA";
    table.error().message += "; unset it";
  }
  return table;
}

}  // namespace

Result<std::unique_ptr<Loaded>> Loaded::open(const std::filesystem::path& path, int threads, const std::string& isa,
                                             const models::LoadOptions& options, models::ModelSpec::Shape shape) {
  MIAO_TRY(io::Checkpoint checkpoint, io::Checkpoint::open(path));
  return open(std::move(checkpoint), threads, isa, options, shape);
}

Result<std::unique_ptr<Loaded>> Loaded::open(io::Checkpoint checkpoint, int threads, const std::string& isa,
                                             const models::LoadOptions& options, models::ModelSpec::Shape shape) {
  using Shape = models::ModelSpec::Shape;
  if (threads < 0 || threads > kMaxThreads) {
    return Error{
        Code::invalid, std::to_string(threads) + " threads are not within 1 to " + std::to_string(kMaxThreads), {}};
  }
  MIAO_TRY(const kernels::Kernels* table, choose_kernels(isa));
  MIAO_TRY(const Shape found, models::shape_of(checkpoint));
  if (found != shape && found != Shape::encoder_decoder) {  // both kinds of engines run a part of that
    return Error{Code::unsupported,
                 found == Shape::encoder ? "is an encoder: it embeds and classifies texts and generates none"
                                         : "is a decoder: it generates text and embeds none",
                 checkpoint.path().string()};
  }
  MIAO_TRY(auto pool, ThreadPool::create(threads ? threads : cpu_limits().threads()));
  auto out = std::make_unique<Loaded>(std::move(checkpoint), *table, std::move(pool));
  MIAO_TRY(out->model, models::Model::load(out->checkpoint, options, out->context));
  out->tokenizer.emplace(load_tokenizer(out->checkpoint));
  return out;
}

std::vector<graph::Program*> Loaded::programs() const {
  std::vector<graph::Program*> out;
  for (graph::Program* program : {model->convolution(), model->encoder(), &model->program()}) {
    if (program) out.push_back(program);
  }
  return out;
}

std::vector<KernelReport> Loaded::kernels() const {
  std::vector<KernelReport> out;
  for (const models::WeightGroup& g : model->groups()) {
    out.push_back({g.name, format(g.dtype).name, g.kernel->gemv, g.kernel->gemm, g.bytes, g.products,
                   g.kernel->reads == kernels::Reads::codes || g.kernel->reads == kernels::Reads::row_codes});
  }
  return out;
}

MemoryReport Loaded::memory() const {
  MemoryReport out;
  out.weights = model->weight_bytes();
  out.cached = model->weights_from_cache();
  if (const TensorView* table = model->embedding()) out.embedding = static_cast<int64_t>(table->bytes);
  out.buffers = model->buffer_bytes();
  return out;
}

}  // namespace miao::runtime
