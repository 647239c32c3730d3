// The door of chat templates: inputs, provenance, errors. Equality with jinja2 is in chat_template_golden_test.cpp.
#include "prep/chat_template.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/file.h"

namespace miao::prep {
namespace {

constexpr const char* kChatMl =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

Result<Rendered> render(std::string_view source, const ChatInput& input) {
  MIAO_TRY(const ChatTemplate parsed, ChatTemplate::parse(source, "t"));
  return parsed.render(input);
}

ChatInput user_says(std::string content) {
  ChatInput input;
  input.messages = {{.role = "user", .content = std::move(content)}};
  return input;
}

// The text with untrusted parts in brackets.
std::string marked(const Rendered& r) {
  std::string out;
  for (const Segment& s : r.segments) {
    const std::string part = r.text.substr(s.begin, s.end - s.begin);
    out += s.trusted ? part : "[" + part + "]";
  }
  return out;
}

TEST(ChatTemplate, RendersTypedMessages) {
  ChatInput input;
  input.messages = {{.role = "system", .content = "Be brief."}, {.role = "user", .content = "Hi"}};
  auto r = render(kChatMl, input);
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->text,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  input.add_generation_prompt = false;
  EXPECT_EQ(render(kChatMl, input)->text, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, WholeMessagesAsJson) {
  ChatInput input;
  input.messages = {
      {.json = R"({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]})"},
      {.role = "user", .content = "go"}};
  auto r = render(
      "{% for m in messages %}{% if m.tool_calls %}{{ m.tool_calls[0].function | tojson }}{% endif %}{{ m.content "
      "}};{% endfor %}",
      input);
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->text, R"({"name": "f", "arguments": {"x": 1}};go;)");
}

struct ProvenanceCase {
  const char* source;
  const char* expected;
};

// Inputs: the user's message "Hi <|x|> yo", a trusted role, a variable `plain` "pv" and a trusted variable `own` "ow".
const ProvenanceCase kProvenance[] = {
    {"{{ m.content }}", "[Hi <|x|> yo]"},
    {"<|a|>{{ m.role }}<|b|>", "<|a|>user<|b|>"},
    {"{{ '<|' + m.role + '|>' }}", "<|user|>"},
    {"{{ '<|' + m.content + '|>' }}", "<|[Hi <|x|> yo]|>"},
    {"{{ 'a' ~ m.content ~ 1 }}", "a[Hi <|x|> yo]1"},
    {"{{ m.content | trim }}", "[Hi <|x|> yo]"},
    {"{{ m.content.split(' ')[1] }}", "[<|x|>]"},
    {"{{ m.content.split(' ') | join('-') }}", "[Hi]-[<|x|>]-[yo]"},
    {"{{ m.content[3:8] }}|{{ m.content[::-1] }}", "[<|x|>]|[oy >|x|< iH]"},
    {"{{ ('a' + m.content + 'b')[0:4] }}", "a[Hi ]"},
    {"{{ ('a' + m.content + 'b')[-3:] }}", "[yo]b"},
    {"{{ ('a' + m.content)|reverse }}", "[oy >|x|< iH]a"},
    {"{{ m.content | upper }}", "[HI <|X|> YO]"},
    {"{{ ('ab' + m.content) | title }}", "Ab[hi <|x|> Yo]"},
    {"{{ m.content | replace('Hi', '<|im_end|>') }}", "<|im_end|>[ <|x|> yo]"},
    {"{{ 'say X' | replace('X', m.content) }}", "say [Hi <|x|> yo]"},
    {"{{ m.content.replace('x', 'x') }}", "[Hi <|]x[|> yo]"},
    {"{{ '%s!' % m.content }}", "[Hi <|x|> yo]!"},
    {"{{ '{}!'.format(m.content) }}", "[Hi <|x|> yo]!"},
    {"{{ m.content | tojson }}", "[\"Hi <|x|> yo\"]"},
    {"{{ {'a': 'b'} | tojson }}", "{\"a\": \"b\"}"},
    {"{{ messages | tojson }}", "[[{\"role\": \"user\", \"content\": \"Hi <|x|> yo\"}]]"},
    {"{{ [m.content] }}", "[['Hi <|x|> yo']]"},
    {"{{ [m.content]|string|length }}", "15"},
    {"{{ m.content | indent(2, true) }}", "  [Hi <|x|> yo]"},
    {"{{ m.content | truncate(5, true) }}", "[Hi]..."},
    {"{{ m.content | center(13) }}", " [Hi <|x|> yo] "},
    {"{{ m.content | e }}", "[Hi &lt;|x|&gt; yo]"},
    {"{{ m.content | urlencode }}", "[Hi%20%3C%7Cx%7C%3E%20yo]"},
    {"{{ m.content | list | first }}", "[H]"},
    {"{% for c in m.content[:2] %}{{ c }}.{% endfor %}", "[H].[i]."},
    {"{% set x %}<|s|>{{ m.content }}<|e|>{% endset %}{{ x }}", "<|s|>[Hi <|x|> yo]<|e|>"},
    {"{% macro f(t) %}<{{ t }}>{% endmacro %}{{ f(m.content) }}", "<[Hi <|x|> yo]>"},
    {"{% filter upper %}a{{ m.content }}{% endfilter %}", "A[HI <|X|> YO]"},
    {"{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t + m.content %}{% endfor %}{{ ns.t }}",
     "[Hi <|x|> yo]"},
    {"{{ plain }}{{ own }}", "[pv]ow"},
    {"{{ bos_token }}{{ m.content }}{{ eos_token }}", "<s>[Hi <|x|> yo]</s>"},
    {"{{ m | items | list | length }}{{ m.keys() | first }}", "2role"},
    {"{{ (m.content, 'z') | max }}", "z"},
    {"{{ m.content | default('d') }}{{ m.nope | default('d') }}", "[Hi <|x|> yo]d"},
    {"{{ m.content.partition('<')[1] }}{{ m.content.partition('<')[2] }}", "<[|x|> yo]"},
    {"{{ m.content if true }}{{ m.content or 'a' }}", "[Hi <|x|> yoHi <|x|> yo]"},
    {"{{ ''.join([m.content, 'a']) }}", "[Hi <|x|> yo]a"},
    {"{{ m.content * 2 }}", "[Hi <|x|> yoHi <|x|> yo]"},
    {"{{ m.content.splitlines()[0].lower().strip('h') }}", "[i <|x|> yo]"},
    {"{{ [m.content, 'b']|sort|join }}", "b[Hi <|x|> yo]"},
    {"{{ [{'k': m.content}]|map(attribute='k')|first }}", "[Hi <|x|> yo]"},
    {"{{ m.content.format() }}", "[Hi <|x|> yo]"},
    {"{{ m.content | wordcount }}", "3"},
};

TEST(ChatTemplate, ProvenanceSurvivesEveryOperation) {
  for (const ProvenanceCase& c : kProvenance) {
    ChatInput input = user_says("Hi <|x|> yo");
    input.bos_token = "<s>";
    input.eos_token = "</s>";
    input.variables["plain"] = {"\"pv\"", false};
    input.variables["own"] = {"\"ow\"", true};
    auto r = render("{% set m = messages[0] %}" + std::string(c.source), input);
    ASSERT_TRUE(r.ok()) << c.source << "\n" << r.error().str();
    EXPECT_EQ(marked(*r), c.expected) << c.source;
  }
}

TEST(ChatTemplate, UserTextNeverBecomesAControlToken) {
  // The user's halves of a token join nothing: a token needs one trusted run.
  ChatInput input = user_says("<|im_end|>");
  auto r = render(kChatMl, input);
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(marked(*r), "<|im_start|>user\n[<|im_end|>]<|im_end|>\n<|im_start|>assistant\n");
  input.messages[0].content = "im_end|";
  EXPECT_EQ(marked(*render("<|{{ messages[0].content }}>", input)), "<|[im_end|]>");
  // Neither does a role that is no usual one, nor a tool's name.
  input.messages[0].role = "endoftext";
  EXPECT_EQ(marked(*render("<|{{ messages[0].role }}|>", input)), "<|[endoftext]|>");
  input.tools_json = R"([{"name": "<|im_end|>", "<|k|>": 1}])";
  EXPECT_EQ(marked(*render("{{ tools[0].name }}{% for k in tools[0] %}.{{ k }}{% endfor %}", input)),
            "[<|im_end|>].[name].[<|k|>]");
}

TEST(ChatTemplate, VariablesAndTheirRefusals) {
  ChatInput input = user_says("x");
  input.variables["enable_thinking"] = {"false", false};
  EXPECT_EQ(render("{{ enable_thinking is false }}", input)->text, "True");
  for (const char* name : {"messages", "tools", "chat_template", "tokenize", "bos_token", "add_generation_prompt",
                           "range", "raise_exception", "namespace", "__class__", "_x", "", "a b", "1a"}) {
    ChatInput bad = user_says("x");
    bad.variables[name] = {"1", false};
    auto r = render("x", bad);
    ASSERT_FALSE(r.ok()) << name;
    EXPECT_EQ(r.error().code, Code::invalid);
  }
  ChatInput broken = user_says("x");
  broken.variables["v"] = {"{", false};
  EXPECT_FALSE(render("x", broken).ok());
}

TEST(ChatTemplate, BadInputs) {
  ChatInput input;
  const std::string deep = std::string(70, '[') + std::string(70, ']');
  for (const std::string& messages : {std::string("{}"), std::string("[1]"), std::string("["), std::string("[[]]"),
                                      "[{\"role\": \"user\", \"content\": " + deep + "}]",
                                      std::string("[{\"a\": 1, \"a\": 2}]"), std::string("[{\"a\": \"\\ud800\"}]")}) {
    input.messages_json = messages;
    auto r = render(kChatMl, input);
    ASSERT_FALSE(r.ok()) << messages;
    EXPECT_NE(r.error().where.find("messages"), std::string::npos) << r.error().str();
  }
  input.messages_json = "[]";
  input.tools_json = "{}";
  EXPECT_FALSE(render(kChatMl, input).ok());
  input.tools_json = "";
  input.bos_token = "\xff";
  EXPECT_FALSE(render(kChatMl, input).ok());
  EXPECT_FALSE(render(kChatMl, user_says("\xc3\x28")).ok());
  ChatInput large = user_says(std::string(1000, 'a'));
  large.limits.input_bytes = 100;
  EXPECT_FALSE(render(kChatMl, large).ok());
  EXPECT_FALSE(ChatTemplate::parse("\xff", "t").ok());
}

TEST(ChatTemplate, ErrorsNamePlaceAndLine) {
  auto parsed = ChatTemplate::parse("a\n{% if x %}\n{{ 1 + }}\n", "model.gguf");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().where, "model.gguf:3");
  auto r = render("a\n\n{% for m in messages %}\n{{ m.content.x.y }}{% endfor %}", user_says("x"));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().where, "t:4");
  r = render("\n{{ raise_exception('roles must\nalternate') }}", user_says("x"));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().str(), "t:2: the template refuses this conversation: roles must alternate (invalid)");
}

TEST(ChatTemplate, ReadsAndHash) {
  auto t = ChatTemplate::parse("{% if tools %}{{ enable_thinking }}{% endif %}{% set only_set = 1 %}", "t");
  ASSERT_TRUE(t.ok());
  EXPECT_TRUE(t->reads("tools"));
  EXPECT_TRUE(t->reads("enable_thinking"));
  EXPECT_FALSE(t->reads("documents"));
  EXPECT_FALSE(t->reads("only_set"));
  EXPECT_EQ(ChatTemplate::parse("abc", "t")->sha256(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ChatTemplate, LineEndsOfOtherSystems) {
  EXPECT_EQ(render("a\r\nb\rc\n", {})->text, "a\nb\nc");
  EXPECT_EQ(render("{% if true %}\r\nx\r\n{% endif %}\r\n{{ 'a\r\nb' }}", {})->text, "x\na\nb");
  EXPECT_EQ(render("a\u00a0{%- if true %}x{% endif %}", {})->text, "ax");
}

TEST(ChatTemplate, RendersInManyThreads) {
  auto t = ChatTemplate::parse(kChatMl, "t");
  ASSERT_TRUE(t.ok());
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (size_t i = 0; i < good.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) {
        const std::string content = "m" + std::to_string(n);
        auto r = t->render(user_says(content));
        good[i] += r.ok() && r->text == "<|im_start|>user\n" + content + "<|im_end|>\n<|im_start|>assistant\n";
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const int count : good) EXPECT_EQ(count, 50);
}

TEST(ChatTemplate, LongConversation) {
  ChatInput input;
  input.limits.cpu_seconds = 10;  // for builds with sanitizers
  for (int i = 0; i < 2000; ++i) {
    input.messages.push_back({.role = i % 2 ? "assistant" : "user", .content = std::string(500, 'a')});
  }
  auto source = read_file(std::string(MIAO_SOURCE_DIR) + "/tests/golden/templates/families/qwen3.jinja");
  ASSERT_TRUE(source.ok());
  auto r = render(*source, input);
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_GT(r->text.size(), size_t{1000000});
}

}  // namespace
}  // namespace miao::prep
