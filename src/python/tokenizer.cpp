#include "python/tokenizer.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "python/bind.h"
#include "python/convert.h"
#include "python/task.h"

namespace miao::python {

namespace {

using namespace nb::literals;

Result<std::optional<prep::ChatTemplate>> template_of(const Session& session) {
  MIAO_TRY(const prep::ChatTemplate* const form, session.chat_template());
  return form ? std::optional(*form) : std::nullopt;
}

std::string list_json(nb::handle list, const char* what) {
  if (!PyList_Check(list.ptr()) && !PyTuple_Check(list.ptr())) {
    raise_type_error(std::string(what) + " must be a list, not " + Py_TYPE(list.ptr())->tp_name);
  }
  return to_json(list);
}

// In `work` the GIL is free: a text may be large.
template <class Work>
auto without_gil(Work work) {
  const Unlocked unlocked;
  return work();
}

std::vector<int32_t> encode(const TextSide& self, nb::object text, bool add_special, bool parse_special) {
  const std::string utf8 = to_text(text, "text");
  return value(without_gil(
      [&] { return self.tokenizer().encode(utf8, {.add_special = add_special, .parse_special = parse_special}); }));
}

nb::str decode(const TextSide& self, nb::object ids, bool skip_special) {
  const std::vector<int32_t> numbers = nb::len(ids) == 0 ? std::vector<int32_t>() : to_ids(ids, "ids");
  return to_str(without_gil([&] { return self.tokenizer().decode(numbers, skip_special); }));
}

}  // namespace

TextSide::TextSide(const Session& session) : tokenizer_(*value(session.tokenizer())), form_(template_of(session)) {}

prep::Rendered TextSide::render(nb::handle messages, nb::handle tools, bool add_generation_prompt) const {
  const std::optional<prep::ChatTemplate>& form = form_.ok() ? *form_ : value(form_);
  if (!form) {
    raise({Code::not_found,
           "the model has no chat template; it may be a base model: generate() continues plain text",
           {}});
  }
  const auto piece = [&](std::optional<int32_t> id) {
    return id ? std::string(tokenizer_.id_to_piece(*id)) : std::string();
  };
  prep::ChatInput input;
  input.messages_json = list_json(messages, "messages");
  if (!tools.is_none()) input.tools_json = list_json(tools, "tools");
  input.add_generation_prompt = add_generation_prompt;
  input.bos_token = piece(tokenizer_.bos_id());
  input.eos_token = piece(tokenizer_.eos_id());
  return value(without_gil([&] { return form->render(input); }));
}

void bind_tokenizer(nb::module_& module) {
  nb::class_<TextSide>(module, "Tokenizer", "Text to token ids and back. Immutable: threads may share it.")
      .def("encode", encode, "text"_a, "add_special"_a = true, "parse_special"_a = true,
           "Token ids of a text.\n\nadd_special: with the begin and end ids that the model's file asks for.\n"
           "parse_special: control tokens written out in the text, such as <|im_end|>, become their ids; False takes "
           "them as plain text, which is what text of strangers needs.",
           nb::sig("def encode(self, text: str, add_special: bool = True, parse_special: bool = True) -> list[int]"))
      .def("decode", decode, "ids"_a, "skip_special"_a = true,
           "Text of token ids. skip_special leaves control tokens out; ids outside the vocabulary are skipped.",
           nb::sig("def decode(self, ids: " MIAO_IDS ", skip_special: bool = True) -> str"))
      .def(
          "apply_chat_template",
          [](const TextSide& self, nb::object messages, bool add_generation_prompt, nb::object tools) {
            return to_str(self.render(messages, tools, add_generation_prompt).text);
          },
          "messages"_a, "add_generation_prompt"_a = true, "tools"_a = nb::none(),
          "The text that the model reads for a conversation: a list of {'role': ..., 'content': ...}.\n\n"
          "To have it answered use Model.chat, which keeps control tokens that a message spells from becoming ones.",
          nb::sig("def apply_chat_template(self, messages: collections.abc.Sequence[dict[str, typing.Any]], "
                  "add_generation_prompt: bool = True, "
                  "tools: collections.abc.Sequence[dict[str, typing.Any]] | None = None) -> str"))
      .def_prop_ro(
          "vocab_size", [](const TextSide& self) { return self.tokenizer().vocab_size(); },
          "Ids are 0 .. vocab_size - 1; the model may have more logits than that.")
      .def_prop_ro(
          "bos_id", [](const TextSide& self) { return self.tokenizer().bos_id(); },
          "The id that begins a text, if there is one.")
      .def_prop_ro(
          "eos_id", [](const TextSide& self) { return self.tokenizer().eos_id(); },
          "The id that ends a text, if there is one.")
      .def_prop_ro(
          "pad_id", [](const TextSide& self) { return self.tokenizer().pad_id(); },
          "The id that fills a batch, if there is one; miao needs none.")
      .def("__repr__", [](const TextSide& self) {
        return "<miao.Tokenizer " + std::string(self.tokenizer().kind()) + ", " +
               std::to_string(self.tokenizer().vocab_size()) + " tokens>";
      });
}

}  // namespace miao::python
