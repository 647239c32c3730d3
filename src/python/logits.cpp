// Model.logits: the scores of every next token, or the outputs of an encoder's head, of one input or a batch.
#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "python/convert.h"
#include "python/encode.h"
#include "python/model.h"

namespace miao::python {

namespace {

using namespace nb::literals;
using Ids = std::vector<int32_t>;

constexpr int64_t kPassRows = 256;                 // a larger pass is no faster
constexpr int64_t kPassBytes = int64_t{64} << 20;  // of its logits inside the engine
constexpr const char* kDecoderIds = "decoder_input_ids";

// What the decoder reads; of an encoder-decoder, behind the inputs.
struct Arguments {
  std::vector<Ids> texts, inputs;
};

void copy(const runtime::Logits& from, int64_t first, int64_t count, float* to) {
  const auto vocab = static_cast<size_t>(from.vocab());
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + static_cast<size_t>(i) * vocab, from.row(first + i).data(), vocab * sizeof(float));
  }
}

Result<void> one(runtime::Engine& engine, const Ids& text, const runtime::Sequence* memory, Block& out, Cancel cancel) {
  runtime::Sequence sequence = engine.new_sequence();
  return engine.forward_all(
      sequence, text,
      [&](int64_t first, const runtime::Logits& logits) -> Result<void> {
        copy(logits, 0, logits.rows(), out.values.get() + first * logits.vocab());
        return {};
      },
      cancel, memory);
}

// Short texts of a batch share a pass.
Result<void> several(runtime::Engine& engine, std::span<const Ids> texts, std::span<const runtime::Sequence> memory,
                     std::span<Block> out, Cancel cancel) {
  std::vector<runtime::Sequence> sequences;
  std::vector<runtime::Slice> slices;
  for (size_t i = 0; i < texts.size(); ++i) sequences.push_back(engine.new_sequence());
  for (size_t i = 0; i < texts.size(); ++i) {
    slices.push_back({&sequences[i], texts[i], runtime::Want::all, memory.empty() ? nullptr : &memory[i]});
  }
  MIAO_TRY(const runtime::Logits logits, engine.forward(slices, cancel));
  int64_t first = 0;
  for (Block& rows : out) {
    const auto count = static_cast<int64_t>(rows.rows);
    copy(logits, first, count, rows.values.get());
    first += count;
  }
  return {};
}

Result<std::vector<Block>> run(runtime::Engine& engine, const Arguments& arguments, Cancel cancel) {
  const std::vector<Ids>& texts = arguments.texts;
  const auto vocab = static_cast<size_t>(engine.vocab());
  const auto row_bytes = static_cast<int64_t>(vocab * sizeof(float));
  const auto most = static_cast<size_t>(std::clamp<int64_t>(kPassBytes / row_bytes, 1, kPassRows));
  size_t total = 0;
  for (const Ids& text : texts) total += text.size();
  MIAO_CHECK_OK(require_memory(static_cast<uint64_t>(total) * static_cast<uint64_t>(row_bytes),
                               "the logits of " + std::to_string(total) + " tokens", "take fewer tokens at once"));
  std::vector<Block> out;
  for (const Ids& text : texts) out.emplace_back(text.size(), vocab);
  for (size_t first = 0, last = 0; first < texts.size(); first = last) {
    size_t rows = 0;
    while (last < texts.size() && (last == first || rows + texts[last].size() <= most)) rows += texts[last++].size();
    const size_t count = last - first;
    std::vector<runtime::Sequence> memory;
    if (!arguments.inputs.empty()) {
      std::vector<runtime::EncoderInput> inputs;
      for (size_t i = first; i < last; ++i) inputs.push_back({.ids = arguments.inputs[i]});
      MIAO_TRY(memory, engine.encode(inputs, cancel));
    }
    MIAO_CHECK_OK(count == 1 ? one(engine, texts[first], memory.empty() ? nullptr : &memory[0], out[first], cancel)
                             : several(engine, std::span(texts).subspan(first, count), memory,
                                       std::span(out).subspan(first, count), cancel));
  }
  return out;
}

std::vector<Block> decode(const Model& model, const Arguments& arguments) {
  return model.compute([&](Session& session, Cancel cancel) { return run(session.engine(), arguments, cancel); });
}

// Which arguments the model takes.
void check(const Session& session, nb::handle decoder_ids, nb::handle types) {
  const Kind kind = session.kind();
  if (kind == kTextToText && decoder_ids.is_none()) {
    raise({Code::invalid,
           "is missing: the logits of an encoder-decoder are those behind them; they begin with start_id",
           kDecoderIds});
  }
  const auto refuse = [&](const char* name) {
    raise({Code::unsupported, "is not an argument for " + std::string(kind_name(kind)) + "; leave it out", name});
  };
  if (kind != kTextToText && !decoder_ids.is_none()) refuse(kDecoderIds);
  if (!(kind & kEncoder) && !types.is_none()) refuse("token_type_ids");
}

Matrix logits(const Model& model, nb::object input_ids, nb::object decoder_ids, nb::object types) {
  const Session& session = model.with("logits");
  check(session, decoder_ids, types);
  if (session.kind() & kEncoder) {
    return to_numpy(std::move(encode(model, models::Rows::head, to_input(input_ids, types))[0]));
  }
  Arguments arguments{{to_ids(input_ids, "input_ids")}, {}};
  if (session.kind() == kTextToText) {
    arguments.inputs = std::exchange(arguments.texts, {to_ids(decoder_ids, kDecoderIds)});
  }
  return to_numpy(std::move(decode(model, arguments)[0]));
}

nb::list batch_logits(const Model& model, Batch input_ids, nb::object decoder_ids, nb::object types) {
  const Session& session = model.with("logits");
  check(session, decoder_ids, types);
  if (session.kind() & kEncoder) return to_numpy(encode(model, models::Rows::head, to_inputs(input_ids, types)));
  Arguments arguments{to_batch(input_ids, "input_ids"), {}};
  if (session.kind() == kTextToText) {
    if (!is_batch(decoder_ids)) raise_type_error(std::string(kDecoderIds) + " must be a batch as input_ids is");
    arguments.inputs = std::exchange(arguments.texts, to_batch({decoder_ids}, kDecoderIds));
    if (arguments.inputs.size() != arguments.texts.size()) {
      raise({Code::invalid,
             "has " + std::to_string(arguments.texts.size()) + " texts and input_ids " +
                 std::to_string(arguments.inputs.size()),
             kDecoderIds});
    }
  }
  return to_numpy(decode(model, arguments));
}

}  // namespace

void bind_logits(ModelClass& model) {
  model.def("logits", batch_logits, "input_ids"_a, "decoder_input_ids"_a = nb::none(), nb::kw_only(),
            "token_type_ids"_a = nb::none(),
            nb::sig("def logits(self, input_ids: collections.abc.Sequence[" MIAO_IDS "], decoder_input_ids: "
                    "collections.abc.Sequence[" MIAO_IDS "] | None = None, *, token_type_ids: "
                    "collections.abc.Sequence[" MIAO_IDS "] | None = None) -> "
                    "list[numpy.typing.NDArray[numpy.float32]]"));
  model.def("logits", logits, "input_ids"_a, "decoder_input_ids"_a = nb::none(), nb::kw_only(),
            "token_type_ids"_a = nb::none(),
            "Scores of the next token behind every position: float32 (len(input_ids), vocab), before softmax.\n\n"
            "A batch, a list of lists of any lengths, gives a list of such arrays. Row i depends on input_ids[: i + 1] "
            "alone: neighbours in the batch, threads and instruction set change no bit of it.\n"
            "decoder_input_ids: of an encoder-decoder, which reads input_ids whole; a row for each of them, and they "
            "begin with start_id.\n"
            "An encoder gives the outputs of its head: (1, classes) where it classifies texts, (len(input_ids), "
            "classes) where it classifies tokens, (len(input_ids), 2) where it finds begin and end of an answer. "
            "token_type_ids: the segment of each id, of encoders that have them; None = all 0.",
            nb::sig("def logits(self, input_ids: " MIAO_IDS ", decoder_input_ids: " MIAO_IDS
                    " | None = None, *, token_type_ids: " MIAO_IDS " | None = None) -> "
                    "numpy.typing.NDArray[numpy.float32]"));
}

}  // namespace miao::python
