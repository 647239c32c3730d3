// Every golden file in tests/golden/templates: our text equals what jinja2 made of the same template and conversation,
// and we refuse what it refuses. tools/template_oracle.py writes the files; further ones placed there are read too.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "prep/chat_template.h"

namespace miao::prep {
namespace {

namespace fs = std::filesystem;
const fs::path kFolder = fs::path(MIAO_SOURCE_DIR) / "tests/golden/templates";

ChatInput input_of(const Json& conversation, int64_t now) {
  ChatInput input;
  input.messages_json = dump_json(conversation.at("messages"));
  if (conversation.contains("tools")) input.tools_json = dump_json(conversation["tools"]);
  if (conversation.contains("documents")) input.documents_json = dump_json(conversation["documents"]);
  input.add_generation_prompt = conversation.value("add_generation_prompt", false);
  input.bos_token = conversation.value("bos_token", "");
  input.eos_token = conversation.value("eos_token", "");
  input.now = now;
  if (conversation.contains("variables")) {
    for (const auto& [name, value] : conversation["variables"].items())
      input.variables[name] = {dump_json(value), false};
  }
  return input;
}

// Segments cover the text in order and alternate in trust.
void expect_cover(const Rendered& rendered) {
  size_t at = 0;
  for (size_t i = 0; i < rendered.segments.size(); ++i) {
    const Segment& s = rendered.segments[i];
    EXPECT_EQ(s.begin, at);
    EXPECT_LT(s.begin, s.end);
    if (i > 0) EXPECT_NE(s.trusted, rendered.segments[i - 1].trusted);
    at = s.end;
  }
  EXPECT_EQ(at, rendered.text.size());
}

void check_file(const fs::path& path) {
  auto text = read_file(path);
  ASSERT_TRUE(text.ok()) << text.error().str();
  auto golden = parse_json(*text, path.string());
  ASSERT_TRUE(golden.ok()) << golden.error().str();
  const auto now = (*golden)["now"].get<int64_t>();
  int checked = 0, wrong = 0;
  for (const Json& row : (*golden)["results"]) {
    const auto name = row["template"].get<std::string>(), conversation = row["conversation"].get<std::string>();
    std::string source;
    if ((*golden)["sources"].contains(name)) {
      source = (*golden)["sources"][name].get<std::string>();
    } else {
      auto file = read_file(kFolder / "families" / (name + ".jinja"));
      ASSERT_TRUE(file.ok()) << file.error().str();
      source = *file;
    }
    ++checked;
    auto parsed = ChatTemplate::parse(source, name);
    Result<Rendered> rendered = parsed.ok() ? parsed->render(input_of((*golden)["conversations"][conversation], now))
                                            : Result<Rendered>(parsed.error());
    const std::string label = path.filename().string() + " / " + name + " / " + conversation;
    if (row.contains("error")) {
      if (rendered.ok()) {
        ++wrong;
        ADD_FAILURE() << label << ": jinja2 refuses with " << row["error"] << "\nbut we render: " << rendered->text;
      }
    } else if (!rendered.ok()) {
      ++wrong;
      ADD_FAILURE() << label << ": " << rendered.error().str() << "\nsource: " << source.substr(0, 200);
    } else {
      const auto expected = row["text"].get<std::string>();
      wrong += rendered->text != expected;
      EXPECT_EQ(rendered->text, expected) << label << "\nsource: " << source.substr(0, 200);
      expect_cover(*rendered);
    }
  }
  EXPECT_EQ(wrong, 0) << "of " << checked << " in " << path.filename();
}

TEST(ChatTemplateGolden, RendersAsJinja2) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".json" || entry.path().filename() == "conversations.json") continue;
    check_file(entry.path());
    ++files;
  }
  EXPECT_GE(files, 2);
}

}  // namespace
}  // namespace miao::prep
