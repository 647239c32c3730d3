// Model.encode: the last hidden state of an encoder.
#include "python/encode.h"

#include <cstring>

namespace miao::python {

namespace {

using namespace nb::literals;
constexpr const char* kTypes = "token_type_ids";

Result<std::vector<Block>> run(runtime::Encoder& encoder, const EncoderArguments& inputs, Cancel cancel) {
  std::vector<runtime::EncoderInput> all;
  for (size_t i = 0; i < inputs.ids.size(); ++i) {
    all.push_back({.ids = inputs.ids[i], .types = inputs.types.empty() ? std::span<const int32_t>() : inputs.types[i]});
  }
  MIAO_TRY(const runtime::Encoded rows, encoder.run(all, cancel));
  std::vector<Block> out;
  const auto cols = static_cast<size_t>(rows.cols());
  for (size_t i = 0; i < all.size(); ++i) {
    Block& block = out.emplace_back(static_cast<size_t>(rows.rows(i)), cols);
    for (size_t r = 0; r < block.rows; ++r) {
      std::memcpy(block.values.get() + r * cols, rows.row(i, static_cast<int64_t>(r)).data(), cols * sizeof(float));
    }
  }
  return out;
}

}  // namespace

EncoderArguments to_input(nb::handle input_ids, nb::handle types) {
  EncoderArguments out{{to_ids(input_ids, "input_ids")}, {}};
  if (!types.is_none()) out.types.push_back(to_ids(types, kTypes));
  return out;
}

EncoderArguments to_inputs(const Batch& input_ids, nb::handle types) {
  EncoderArguments out{to_batch(input_ids, "input_ids"), {}};
  if (types.is_none()) return out;
  if (!is_batch(types)) raise_type_error(std::string(kTypes) + " must be a batch as input_ids is");
  out.types = to_batch({nb::borrow(types)}, kTypes);
  if (out.types.size() != out.ids.size()) {
    raise({Code::invalid,
           "has " + std::to_string(out.types.size()) + " inputs and input_ids " + std::to_string(out.ids.size()),
           kTypes});
  }
  return out;
}

std::vector<Block> encode(const Model& model, models::Rows rows, const EncoderArguments& inputs) {
  return model.compute([&](Session& session, Cancel cancel) -> Result<std::vector<Block>> {
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(rows, cancel));
    return run(*encoder, inputs, cancel);
  });
}

void bind_encode(ModelClass& model) {
  model.def(
      "encode",
      [](const Model& self, Batch input_ids, nb::object types) {
        self.with("encode");
        return to_numpy(encode(self, models::Rows::tokens, to_inputs(input_ids, types)));
      },
      "input_ids"_a, nb::kw_only(), "token_type_ids"_a = nb::none(),
      nb::sig("def encode(self, input_ids: collections.abc.Sequence[" MIAO_IDS "], *, token_type_ids: "
              "collections.abc.Sequence[" MIAO_IDS "] | None = None) -> list[numpy.typing.NDArray[numpy.float32]]"));
  model.def(
      "encode",
      [](const Model& self, nb::object input_ids, nb::object types) {
        self.with("encode");
        return to_numpy(std::move(encode(self, models::Rows::tokens, to_input(input_ids, types))[0]));
      },
      "input_ids"_a, nb::kw_only(), "token_type_ids"_a = nb::none(),
      "The last hidden state of an encoder, or of the encoder of an encoder-decoder: float32 (len(input_ids), dim).\n\n"
      "A batch, a list of lists of any lengths, gives a list of such arrays; neighbours change no bit of one.\n"
      "token_type_ids: the segment of each id, of models that have them; None = all 0.\n"
      "The first call may load the encoder once more, for rows that the model was not loaded for.",
      nb::sig("def encode(self, input_ids: " MIAO_IDS ", *, token_type_ids: " MIAO_IDS
              " | None = None) -> numpy.typing.NDArray[numpy.float32]"));
}

}  // namespace miao::python
