#include "runtime/blockwise.h"

#include "models/model.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"
#include "runtime/loaded.h"

namespace miao::runtime {

const models::ModelSpec& Blockwise::spec() const { return loaded_.model->spec(); }
const io::Checkpoint& Blockwise::checkpoint() const { return loaded_.checkpoint; }
Result<const prep::Tokenizer*> Blockwise::tokenizer() const {
  const Result<prep::Tokenizer>& loaded = *loaded_.tokenizer;
  if (!loaded.ok()) return loaded.error();
  return &*loaded;
}
ThreadPool& Blockwise::pool() { return *loaded_.pool; }
const graph::Context& Blockwise::context() const { return loaded_.context; }
const char* Blockwise::isa() const { return loaded_.context.kernels.name; }

Result<void> Blockwise::replace(std::span<const TensorView> tensors) { return loaded_.model->replace(tensors); }

void Blockwise::tap_reads(ReadTap fn) {
  graph::ReadTap tap;
  if (fn) {
    tap = [fn = std::move(fn)](const graph::Linear& linear, const graph::View& in) {
      std::vector<Reader> readers;
      for (size_t i = 0; i < linear.parts(); ++i) readers.push_back({linear.source(i), linear.source_row(i)});
      fn(readers, in.data, in.rows, in.cols, in.stride);
    };
  }
  for (graph::Program* program : loaded_.programs()) program->tap_reads(tap);
}

std::vector<Blockwise::Product> Blockwise::products() const {
  std::vector<Product> out;
  for (const auto& [kind, linear] : loaded_.model->products()) {
    Product& product = out.emplace_back(Product{kind, {}});
    for (size_t i = 0; i < linear->parts(); ++i) product.tensors.push_back({linear->source(i), linear->source_row(i)});
  }
  return out;
}

Result<std::unique_ptr<Blockwise>> open_blockwise(const std::filesystem::path& path, const BlockwiseOptions& options) {
  using Shape = models::ModelSpec::Shape;
  MIAO_TRY(const Shape shape, model_shape(path));
  std::unique_ptr<Blockwise> out;
  if (shape == Shape::decoder) {
    MIAO_TRY(
        out,
        Engine::open(
            path, {.threads = options.threads, .ctx = options.ctx, .isa = {}, .packs = {}, .cancel = options.cancel}));
  } else if (shape == Shape::encoder) {
    MIAO_TRY(out, Encoder::open(path, {.threads = options.threads, .isa = {}, .packs = {}, .cancel = options.cancel}));
  } else {
    return Error{Code::unsupported, "is an encoder-decoder, whose blocks are not run one at a time", path.string()};
  }
  if (!out->spec().shared_blocks) return out;
  return Error{Code::unsupported, "has one block of weights that stands for all", path.string()};
}

}  // namespace miao::runtime
