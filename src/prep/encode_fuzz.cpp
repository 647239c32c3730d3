// libFuzzer: any text through the small tokenizers of tests/golden/tokenizers. The first byte chooses one.
//
// Checked: ids are ids; text that nobody trusts makes no control token; the decoded text is valid UTF-8, the same from
// a stream, and for tokenizers that lose nothing the text itself.
#include <string>
#include <string_view>

#include "base/check.h"
#include "prep/chat_template.h"
#include "prep/tok/unicode.h"
#include "prep/tokenizer.h"
#include "prep/tokenizer_test_support.h"

namespace {

using namespace miao::prep;

struct Named {
  std::string name;
  Tokenizer tokenizer;
  bool lossless;  // byte-level, and nothing but the pre-tokenizer differs from the base
};

std::vector<Named> load() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(test::golden_directory())) {
    const std::string name = entry.path().stem().string();
    if (!name.starts_with("base_")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());  // a saved input must mean the same tomorrow
  std::vector<Named> out;
  for (const std::string& name : names) {
    const miao::Json golden = test::golden_json(name + ".json");
    auto tokenizer = Tokenizer::from_json(miao::dump_json(test::patched_base(golden)), "", name);
    MIAO_CHECK(tokenizer.ok());
    const bool plain = golden["patch"].size() == 1 && golden["patch"].contains("pre_tokenizer");
    out.push_back({name, *tokenizer, golden["base"] == "base_bytes.json" && plain && name != "roberta"});
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Named> tokenizers = load();
  if (size == 0) return 0;
  const Named& named = tokenizers[data[0] % tokenizers.size()];
  const Tokenizer& t = named.tokenizer;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string repaired;
  append_lossy(repaired, text);

  const auto plain = t.encode(text, {.add_special = false, .parse_special = false});
  const auto full = t.encode(text);
  MIAO_CHECK(plain.ok() && full.ok());
  for (int32_t id : *full) MIAO_CHECK(id >= 0 && id < t.vocab_size());
  for (int32_t id : *plain) MIAO_CHECK(!t.is_special(id) || t.unk_id() == id);
  MIAO_CHECK(*t.encode(text, std::vector<Segment>{{0, text.size(), false}}, false) == *plain);
  MIAO_CHECK(*t.encode(text, std::vector<Segment>{{0, text.size(), true}}, true) == *full);
  MIAO_CHECK(*t.encode(repaired) == *full);

  const auto located = t.locate(text);
  MIAO_CHECK(located.ok() && located->ids == *full && located->ranges.size() == full->size());
  for (const ByteRange range : located->ranges) MIAO_CHECK(range.begin <= range.end && range.end <= text.size());

  for (const auto* ids : {&*plain, &*full}) {
    const std::string decoded = t.decode(*ids, false);
    MIAO_CHECK(is_utf8(decoded));
    StreamDecoder stream(t, false);
    std::string streamed;
    for (int32_t id : *ids) {
      const std::string part = stream.push(id);
      MIAO_CHECK(is_utf8(part));
      streamed += part;
    }
    streamed += stream.flush();
    // A run of byte tokens that is no UTF-8 is replaced byte by byte only where nothing is streamed.
    MIAO_CHECK(streamed == decoded || decoded.find(kReplacement) != std::string::npos);
    if (named.lossless) MIAO_CHECK(decoded == repaired);
  }
  return 0;
}
