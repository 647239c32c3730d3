// Tokenizers from Hugging Face's tokenizer.json, with tokenizer_config.json for the names of the special tokens.
//
// Ids come from the model's vocabulary; added tokens that it does not hold have the ids the file gives them. Truncation
// and padding in the file are not applied: how long an input may be is the engine's business.
#include <algorithm>
#include <limits>

#include "prep/tok/json_parts.h"
#include "prep/tok/loaders.h"
#include "prep/tok/unicode.h"
#include "prep/tok/unigram.h"
#include "prep/tok/word_piece.h"
#include "prep/tokenizer.h"

namespace miao::prep {
namespace {

constexpr size_t kMaxJson = size_t{256} << 20;

Error corrupt(std::string message) { return {Code::corrupt, std::move(message)}; }
std::string name_of(std::string_view text) { return "\"" + std::string(text.substr(0, 60)) + "\""; }

class Loader {
 public:
  Result<std::shared_ptr<TokenizerData>> load(std::string_view json, std::string_view config) {
    MIAO_TRY(const JsonObject root, parse(parser_, json, "tokenizer.json"));
    const auto model = json_field(root, "model");
    if (!model) return Error{Code::not_found, "there is no \"model\"; is this a tokenizer.json?"};
    MIAO_TRY(model_, json_object(*model, "\"model\""));
    MIAO_CHECK_OK(part(read_vocab(), "model.vocab"));
    MIAO_CHECK_OK(part(read_added(root), "added_tokens"));
    if (!config.empty()) {
      MIAO_TRY(config_, parse(config_parser_, config, "tokenizer_config.json"));
      MIAO_CHECK_OK(part(read_config_tokens(*config_), "tokenizer_config.json"));
    }
    MIAO_CHECK_OK(build_vocab());
    if (const auto e = json_field(root, "normalizer")) {
      MIAO_CHECK_OK(part(read_normalizer(*e, data_->normalizer), "normalizer"));
    }
    if (const auto e = json_field(root, "pre_tokenizer")) {
      MIAO_CHECK_OK(part(read_pre_tokenizer(*e, data_->pre_tokenizer, &byte_level_), "pre_tokenizer"));
    }
    if (const auto e = json_field(root, "decoder")) {
      MIAO_CHECK_OK(part(read_decoder(*e, data_->decoder), "decoder"));
    } else {
      data_->decoder.separator = " ";
    }
    if (const auto e = json_field(root, "post_processor")) {
      MIAO_CHECK_OK(part(read_post_processor(*e, data_->vocab.size(), data_->frame), "post_processor"));
    }
    MIAO_CHECK_OK(part(build_model(), "model"));
    MIAO_CHECK_OK(part(register_added(), "added_tokens"));
    if (config_) MIAO_CHECK_OK(part(read_special_names(*config_), "tokenizer_config.json"));
    data_->collect_eog();
    return std::move(data_);
  }

 private:
  enum class Type { bpe, unigram, word_piece };
  struct Piece {
    std::string_view text;
    bool model = false;
    bool set = false;
  };

  static Result<void> part(Result<void> result, std::string_view name) {
    if (result.ok()) return result;
    return std::move(result.error()).at(name);
  }

  static Result<JsonObject> parse(simdjson::dom::parser& parser, std::string_view json, std::string_view what) {
    if (json.size() > kMaxJson) return Error{Code::invalid, std::string(what) + " has more than 256 MiB"};
    JsonElement root;
    if (const auto error = parser.parse(json.data(), json.size()).get(root)) {
      return corrupt(std::string(what) + " is not valid JSON: " + simdjson::error_message(error));
    }
    return json_object(root, what);
  }

  Result<void> place(std::string_view text, int64_t id, bool model) {
    if (id < 0 || id >= limit_) {
      return corrupt("the id " + std::to_string(id) + " of " + name_of(text) + " is not below " +
                     std::to_string(limit_));
    }
    if (text.size() > TokenizerData::kMaxTokenBytes)
      return corrupt("token " + std::to_string(id) + " has too many bytes");
    const auto at = static_cast<size_t>(id);
    if (at >= pieces_.size()) pieces_.resize(std::max(at + 1, pieces_.size() * 2));
    size_ = std::max(size_, at + 1);
    if (pieces_[at].set) {
      return corrupt("the id " + std::to_string(id) + " is given to " + name_of(pieces_[at].text) + " and to " +
                     name_of(text));
    }
    pieces_[at] = {text, model, true};
    bytes_ += text.size();
    if (bytes_ > TokenizerData::kMaxPieceBytes) return corrupt("the tokens have too many bytes");
    return {};
  }

  Result<void> read_vocab() {
    const auto vocab = json_field(model_, "vocab");
    if (!vocab) return Error{Code::not_found, "the model has no vocabulary"};
    MIAO_TRY(const std::string_view name, json_string(model_, "type",
                                                      vocab->is_array()              ? "Unigram"
                                                      : json_field(model_, "merges") ? "BPE"
                                                                                     : "WordPiece"));
    if (name == "BPE") {
      type_ = Type::bpe;
    } else if (name == "Unigram") {
      type_ = Type::unigram;
    } else if (name == "WordPiece") {
      type_ = Type::word_piece;
    } else {
      return Error{Code::unsupported,
                   "the model type " + name_of(name) + " is not known (BPE, Unigram, WordPiece are)"};
    }
    if (type_ == Type::unigram) return read_unigram_vocab(*vocab);
    MIAO_TRY(const JsonObject object, json_object(*vocab, "the vocabulary"));
    size_t count = 0;
    for ([[maybe_unused]] const auto& field : object) ++count;
    MIAO_CHECK_OK(set_limit(count));
    for (const auto& field : object) {
      int64_t id;
      if (field.value.get_int64().get(id)) return corrupt("the id of " + name_of(field.key) + " is not an integer");
      MIAO_CHECK_OK(place(field.key, id, true));
    }
    return {};
  }

  // Ids may have holes, but not so many that a small file asks for a large table.
  Result<void> set_limit(size_t count) {
    if (count == 0) return corrupt("the vocabulary is empty");
    limit_ = std::min<int64_t>(static_cast<int64_t>(count) * 4 + 65536, TokenizerData::kMaxVocab);
    if (static_cast<int64_t>(count) > limit_) return corrupt(std::to_string(count) + " tokens are too many");
    pieces_.resize(count);
    return {};
  }

  Result<void> read_unigram_vocab(JsonElement vocab) {
    JsonArray array;
    if (vocab.get_array().get(array)) return corrupt("the vocabulary of a Unigram model must be an array");
    size_t count = 0;
    for ([[maybe_unused]] JsonElement entry : array) ++count;  // array.size() saturates
    MIAO_CHECK_OK(set_limit(count));
    int64_t id = 0;
    for (JsonElement entry : array) {
      JsonArray pair;
      std::string_view text;
      double score;
      if (entry.get_array().get(pair) || pair.size() != 2 || pair.at(0).get_string().get(text) ||
          pair.at(1).get_double().get(score)) {
        return corrupt("entry " + std::to_string(id) + " is not a piece and its score");
      }
      MIAO_CHECK_OK(place(text, id++, true));
      scores_.push_back(score);
    }
    return {};
  }

  Result<AddedToken> added_token(JsonElement element, std::optional<int64_t> given_id) {
    MIAO_TRY(const JsonObject object, json_object(element, "an added token"));
    AddedToken token;
    MIAO_TRY(token.content, json_string(object, "content"));
    int64_t id = given_id.value_or(0);
    if (!given_id) {
      MIAO_TRY(id, json_integer(object, "id"));
    }
    MIAO_TRY(token.special, json_bool(object, "special", false));
    MIAO_TRY(token.single_word, json_bool(object, "single_word", false));
    MIAO_TRY(token.lstrip, json_bool(object, "lstrip", false));
    MIAO_TRY(token.rstrip, json_bool(object, "rstrip", false));
    MIAO_TRY(token.normalized, json_bool(object, "normalized", !token.special));
    if (id < 0 || id >= TokenizerData::kMaxVocab) {
      return corrupt("the id " + std::to_string(id) + " of " + name_of(token.content) + " is out of range");
    }
    token.id = static_cast<int32_t>(id);
    return token;
  }

  Result<void> read_added(const JsonObject& root) {
    if (!json_field(root, "added_tokens")) return {};
    MIAO_TRY(const JsonArray array, json_array(root, "added_tokens"));
    size_t count = 0;
    for ([[maybe_unused]] JsonElement entry : array) ++count;
    limit_ = std::min<int64_t>(limit_ + static_cast<int64_t>(count) * 4, TokenizerData::kMaxVocab);
    for (JsonElement element : array) {
      MIAO_TRY(AddedToken token, added_token(element, std::nullopt));
      if (!token.content.empty()) added_.push_back(std::move(token));
    }
    return {};
  }

  // added_tokens_decoder: {"32000": {...}}: those that tokenizer.json does not list.
  Result<void> read_config_tokens(const JsonObject& config) {
    const auto decoder = json_field(config, "added_tokens_decoder");
    if (!decoder) return {};
    MIAO_TRY(const JsonObject tokens, json_object(*decoder, "added_tokens_decoder"));
    Vocab listed;
    for (const AddedToken& token : added_) listed.add(token.content);
    size_t more = 0;
    for (const auto& field : tokens) {
      int64_t id = 0;
      for (char c : field.key) {
        if (c < '0' || c > '9' || id > TokenizerData::kMaxVocab)
          return corrupt("the id " + name_of(field.key) + " is not a number");
        id = id * 10 + (c - '0');
      }
      MIAO_TRY(AddedToken token, added_token(field.value, id));
      if (token.content.empty() || listed.find(token.content) >= 0) continue;
      if (++more > 65536) return corrupt("more than 65536 added tokens that tokenizer.json does not list");
      added_.push_back(std::move(token));
    }
    return {};
  }

  // Puts everything into data_->vocab and gives the added tokens their final ids.
  Result<void> build_vocab() {
    Vocab model_names;  // index of a piece -> id, to find which added tokens the model knows
    std::vector<int32_t> model_ids;
    model_names.reserve(size_, bytes_);
    for (size_t id = 0; id < size_; ++id) {
      if (!pieces_[id].set) continue;
      if (type_ != Type::unigram && model_names.find(pieces_[id].text) >= 0) {
        return corrupt("the token " + name_of(pieces_[id].text) + " is listed twice");
      }
      model_names.add(pieces_[id].text);
      model_ids.push_back(static_cast<int32_t>(id));
    }
    data_->added_names.reserve(added_.size(), 0);
    for (AddedToken& token : added_) {
      if (const int32_t known = model_names.find(token.content); known >= 0) {
        token.id = model_ids[static_cast<size_t>(known)];
        continue;
      }
      if (const int32_t again = data_->added_names.find(token.content); again >= 0) {
        token.id = data_->added_ids[static_cast<size_t>(again)];
        continue;
      }
      MIAO_CHECK_OK(part(place(token.content, token.id, false), "added_tokens"));
      data_->added_names.add(token.content);
      data_->added_ids.push_back(token.id);
    }
    data_->vocab.reserve(size_, bytes_);
    for (size_t id = 0; id < size_; ++id) data_->vocab.add(pieces_[id].text, pieces_[id].model);
    data_->special.assign(size_, 0);
    for (const AddedToken& token : added_) {
      if (token.special) data_->special[static_cast<size_t>(token.id)] = 1;
    }
    return {};
  }

  Result<std::optional<int32_t>> model_token(std::string_view name) {
    if (!json_field(model_, name)) return std::optional<int32_t>();
    MIAO_TRY(const std::string_view text, json_string(model_, name));
    if (text.empty()) return std::optional<int32_t>();
    const int32_t id = data_->find(text);
    if (id < 0) return corrupt(std::string(name) + " " + name_of(text) + " is not in the vocabulary");
    return std::optional(id);
  }

  Result<void> build_model() {
    switch (type_) {
      case Type::bpe:
        return build_bpe();
      case Type::unigram:
        return build_unigram();
      case Type::word_piece:
        return build_word_piece();
    }
    return {};
  }

  Result<void> build_bpe() {
    if (const auto dropout = json_field(model_, "dropout")) {
      double value;
      if (dropout->get_double().get(value) || value != 0)
        return Error{Code::unsupported, "a BPE model with dropout is not usable here; set \"dropout\" to null"};
    }
    BpeOptions options{.byte_level = byte_level_};
    MIAO_TRY(options.byte_fallback, json_bool(model_, "byte_fallback", false));
    MIAO_TRY(options.fuse_unk, json_bool(model_, "fuse_unk", false));
    MIAO_TRY(options.ignore_merges, json_bool(model_, "ignore_merges", false));
    MIAO_TRY(options.prefix, json_string(model_, "continuing_subword_prefix", ""));
    MIAO_TRY(options.suffix, json_string(model_, "end_of_word_suffix", ""));
    MIAO_TRY(data_->unk, model_token("unk_token"));
    options.unk = data_->unk.value_or(-1);
    if (byte_level_ && !(options.prefix.empty() && options.suffix.empty())) {
      // CLIP: bytes with an end-of-word suffix. Symbols are then the alphabet's characters, not bytes.
      options.byte_level = false;
      options.spelled_bytes = true;
    }
    auto bpe = std::make_unique<Bpe>(data_->vocab, options);
    MIAO_TRY(const JsonArray merges, json_array(model_, "merges"));
    size_t count = 0;
    for ([[maybe_unused]] JsonElement merge : merges) ++count;
    if (count > static_cast<size_t>(TokenizerData::kMaxVocab))
      return corrupt(std::to_string(count) + " merges are too many");
    bpe->reserve_merges(count);
    size_t index = 0;
    for (JsonElement merge : merges) {
      std::string_view left, right;
      JsonArray pair;
      bool ok = false;
      if (!merge.get_string().get(left)) {
        const size_t space = left.find(' ');
        ok = space != std::string_view::npos && left.find(' ', space + 1) == std::string_view::npos;
        if (ok) {
          right = left.substr(space + 1);
          left = left.substr(0, space);
        }
      } else if (!merge.get_array().get(pair)) {
        ok = pair.size() == 2 && !pair.at(0).get_string().get(left) && !pair.at(1).get_string().get(right);
      }
      if (!ok || left.empty() || right.empty()) return corrupt("merge " + std::to_string(index) + " is not two pieces");
      MIAO_CHECK_OK(bpe->merge(left, right));
      ++index;
    }
    bpe->finish({});
    data_->model = std::move(bpe);
    return {};
  }

  Result<void> build_unigram() {
    if (byte_level_)
      return Error{Code::unsupported, "a Unigram model behind a ByteLevel pre-tokenizer is not known to this version"};
    UnigramOptions options;
    MIAO_TRY(options.byte_fallback, json_bool(model_, "byte_fallback", false));
    if (json_field(model_, "unk_id")) {
      MIAO_TRY(const int64_t unk, json_integer(model_, "unk_id"));
      if (unk < 0 || unk >= static_cast<int64_t>(scores_.size())) {
        return corrupt("unk_id " + std::to_string(unk) + " is outside the vocabulary of " +
                       std::to_string(scores_.size()) + " pieces");
      }
      options.unk = static_cast<int32_t>(unk);
      data_->unk = options.unk;
    }
    scores_.resize(size_, 0.0);
    std::vector<bool> in_model(size_);
    double lowest = std::numeric_limits<double>::infinity();
    for (size_t id = 0; id < size_; ++id) {
      // Control tokens are left to the search for added tokens, so that text alone cannot make one.
      in_model[id] = pieces_[id].model && !data_->special[id];
      if (pieces_[id].model) lowest = std::min(lowest, scores_[id]);
    }
    options.lowest = lowest;
    MIAO_TRY(data_->model, Unigram::make(data_->vocab, scores_, in_model, options));
    return {};
  }

  Result<void> build_word_piece() {
    if (byte_level_)
      return Error{Code::unsupported,
                   "a WordPiece model behind a ByteLevel pre-tokenizer is not known to this version"};
    MIAO_TRY(const std::string_view prefix, json_string(model_, "continuing_subword_prefix", "##"));
    MIAO_TRY(const int64_t most, json_integer(model_, "max_input_chars_per_word", 100));
    MIAO_TRY(data_->unk, model_token("unk_token"));
    if (!data_->unk) return Error{Code::not_found, "a WordPiece model needs an unk_token"};
    if (most < 0) return corrupt("max_input_chars_per_word is negative");
    std::vector<bool> in_model(size_);
    for (size_t id = 0; id < size_; ++id) in_model[id] = pieces_[id].model;
    MIAO_TRY(data_->model, WordPiece::make(data_->vocab, in_model, prefix, *data_->unk, static_cast<size_t>(most)));
    return {};
  }

  Result<void> register_added() {
    Text normal;
    for (const AddedToken& token : added_) {
      std::string_view text = token.content;
      if (token.normalized) {
        MIAO_TRY(const Source found, data_->normalizer.run({token.content}, TokenizerData::kMaxTokenBytes, normal));
        text = found.text;
      }
      MIAO_CHECK_OK(data_->added.add(token, text));
    }
    return {};
  }

  Result<void> read_special_names(const JsonObject& config) {
    const auto id_of = [&](std::string_view name) -> Result<std::optional<int32_t>> {
      const auto field = json_field(config, name);
      if (!field) return std::optional<int32_t>();
      std::string_view text;
      if (field->is_object()) {
        MIAO_TRY(text, json_string(field->get_object().value_unsafe(), "content"));
      } else {
        MIAO_TRY(text, json_string(config, name));
      }
      const int32_t id = data_->find(text);
      return id < 0 ? std::optional<int32_t>() : std::optional(id);
    };
    MIAO_TRY(data_->bos, id_of("bos_token"));
    MIAO_TRY(data_->eos, id_of("eos_token"));
    MIAO_TRY(data_->pad, id_of("pad_token"));
    MIAO_TRY(const std::optional<int32_t> unk, id_of("unk_token"));
    if (unk) data_->unk = unk;
    return {};
  }

  std::shared_ptr<TokenizerData> data_ = std::make_shared<TokenizerData>();
  simdjson::dom::parser parser_, config_parser_;
  JsonObject model_;
  std::optional<JsonObject> config_;
  Type type_ = Type::bpe;
  bool byte_level_ = false;
  int64_t limit_ = 0;
  std::vector<Piece> pieces_;  // by id; texts lie in parser_ and added_
  size_t size_ = 0;
  size_t bytes_ = 0;
  std::vector<double> scores_;
  std::vector<AddedToken> added_;
};

}  // namespace

Result<std::shared_ptr<TokenizerData>> load_json(std::string_view json, std::string_view config) {
  return Loader().load(json, config);
}

Result<Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                                       std::string_view where) {
  auto data = load_json(tokenizer_json, tokenizer_config_json);
  if (!data.ok()) return std::move(data.error()).at(where);
  return Tokenizer(std::move(*data));
}

}  // namespace miao::prep
