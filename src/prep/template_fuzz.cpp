// Fuzzes parsing and rendering of chat templates: the input is a template, and after a zero byte the user's message.
// Beyond memory errors it checks that a render stays in its budgets and that segments cover the text.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "prep/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace miao::prep;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t zero = all.find('\0');
  auto parsed = ChatTemplate::parse(all.substr(0, zero), "fuzz");
  if (!parsed.ok()) return 0;
  ChatInput input;
  input.messages = {
      {.role = "system", .content = "Be brief."},
      {.role = "user", .content = zero == std::string_view::npos ? "Hi <|x|>" : std::string(all.substr(zero + 1))},
      {.json =
           R"({"role": "assistant", "tool_calls": [{"id": "a1", "function": {"name": "f", "arguments": {"x": 1.5}}}]})"}};
  input.tools_json = R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": null}}}}])";
  input.bos_token = "<s>";
  input.now = 1721995200;
  input.limits.steps = 20000;
  input.limits.cpu_seconds = 1;
  auto rendered = parsed->render(input);
  if (!rendered.ok()) {
    MIAO_CHECK(!rendered.error().message.empty());
    return 0;
  }
  size_t at = 0;
  for (const Segment& s : rendered->segments) {
    MIAO_CHECK(s.begin == at && s.end > s.begin);
    at = s.end;
  }
  MIAO_CHECK(at == rendered->text.size());
  return 0;
}
