// Model.logits: the scores of every next token, of one text or a batch.
#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "python/convert.h"
#include "python/model.h"

namespace miao::python {

namespace {

using namespace nb::literals;
using Ids = std::vector<int32_t>;

struct Rows {  // (rows, vocab)
  std::unique_ptr<float[]> values;
  size_t rows = 0;
};

constexpr int64_t kPassRows = 256;                 // a larger pass is no faster
constexpr int64_t kPassBytes = int64_t{64} << 20;  // of its logits inside the engine

void copy(const runtime::Logits& from, int64_t first, int64_t count, float* to) {
  const auto vocab = static_cast<size_t>(from.vocab());
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + static_cast<size_t>(i) * vocab, from.row(first + i).data(), vocab * sizeof(float));
  }
}

Result<void> one(runtime::Engine& engine, const Ids& text, Rows& out, Cancel cancel) {
  runtime::Sequence sequence = engine.new_sequence();
  return engine.forward_all(
      sequence, text,
      [&](int64_t first, const runtime::Logits& logits) -> Result<void> {
        copy(logits, 0, logits.rows(), out.values.get() + first * logits.vocab());
        return {};
      },
      cancel);
}

// Short texts of a batch share a pass.
Result<void> several(runtime::Engine& engine, std::span<const Ids> texts, std::span<Rows> out, Cancel cancel) {
  std::vector<runtime::Sequence> sequences;
  std::vector<runtime::Slice> slices;
  for (size_t i = 0; i < texts.size(); ++i) sequences.push_back(engine.new_sequence());
  for (size_t i = 0; i < texts.size(); ++i) slices.push_back({&sequences[i], texts[i], runtime::Want::all});
  MIAO_TRY(const runtime::Logits logits, engine.forward(slices, cancel));
  int64_t first = 0;
  for (Rows& rows : out) {
    const auto count = static_cast<int64_t>(rows.rows);
    copy(logits, first, count, rows.values.get());
    first += count;
  }
  return {};
}

Result<std::vector<Rows>> run(runtime::Engine& engine, const std::vector<Ids>& texts, Cancel cancel) {
  const auto vocab = static_cast<size_t>(engine.vocab());
  const auto row_bytes = static_cast<int64_t>(vocab * sizeof(float));
  const auto most = static_cast<size_t>(std::clamp<int64_t>(kPassBytes / row_bytes, 1, kPassRows));
  size_t total = 0;
  for (const Ids& text : texts) total += text.size();
  MIAO_CHECK_OK(require_memory(static_cast<uint64_t>(total) * static_cast<uint64_t>(row_bytes),
                               "the logits of " + std::to_string(total) + " tokens", "take fewer tokens at once"));
  std::vector<Rows> out;
  for (const Ids& text : texts) {
    out.push_back({std::make_unique_for_overwrite<float[]>(text.size() * vocab), text.size()});
  }
  for (size_t first = 0, last = 0; first < texts.size(); first = last) {
    size_t rows = 0;
    while (last < texts.size() && (last == first || rows + texts[last].size() <= most)) rows += texts[last++].size();
    const size_t count = last - first;
    MIAO_CHECK_OK(count == 1 ? one(engine, texts[first], out[first], cancel)
                             : several(engine, std::span(texts).subspan(first, count),
                                       std::span(out).subspan(first, count), cancel));
  }
  return out;
}

std::vector<Rows> compute(const Model& model, const std::vector<Ids>& texts) {
  return model.compute([&](Session& session, Cancel cancel) { return run(*session.engine, texts, cancel); });
}

Matrix to_matrix(const Model& model, Rows& rows) {
  return to_numpy(std::move(rows.values), rows.rows, static_cast<size_t>(model.engine().vocab()));
}

Matrix logits(const Model& model, nb::object input_ids) {
  return to_matrix(model, compute(model, {to_ids(input_ids, "input_ids")})[0]);
}

nb::list batch_logits(const Model& model, Batch input_ids) {
  std::vector<Ids> texts;
  for (const nb::handle text : input_ids.object) {
    texts.push_back(to_ids(text, "input_ids[" + std::to_string(texts.size()) + "]"));
  }
  nb::list out;
  for (Rows& rows : compute(model, texts)) out.append(to_matrix(model, rows));
  return out;
}

}  // namespace

void bind_logits(ModelClass& model) {
  model.def("logits", batch_logits, "input_ids"_a,
            nb::sig("def logits(self, input_ids: collections.abc.Sequence[" MIAO_IDS "]) -> "
                    "list[numpy.typing.NDArray[numpy.float32]]"));
  model.def("logits", logits, "input_ids"_a,
            "Scores of the next token behind every position: float32 (len(input_ids), vocab), before softmax.\n\n"
            "A batch, a list of lists of any lengths, gives a list of such arrays. Row i depends on input_ids[: i + 1] "
            "alone: neighbours in the batch, threads and instruction set change no bit of it.",
            nb::sig("def logits(self, input_ids: " MIAO_IDS ") -> "
                    "numpy.typing.NDArray[numpy.float32]"));
}

}  // namespace miao::python
