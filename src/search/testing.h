// A tiny encoder for tests: random weights and a vocabulary of a few words, so that only equal texts are surely near.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file.h"

namespace miao::search {

// Files of a model into `folder`, which is made; `model` is one of tests/golden/encoders, all with 64 positions or
// more.
inline void put_encoder(const std::filesystem::path& folder, const std::string& model = "bert",
                        const std::string& prompts = "{}") {
  namespace fs = std::filesystem;
  const fs::path source = fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders" / model;
  const auto add = [&](const fs::path& name, std::string_view text) {
    fs::create_directories((folder / name).parent_path());
    ASSERT_TRUE(write_file_atomic(folder / name, text).ok());
  };
  fs::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::copy_file(source / name, folder / name, fs::copy_options::overwrite_existing);
  }
  add("tokenizer.json", R"({"version":"1.0","added_tokens":[
 {"id":0,"content":"[PAD]","special":true},{"id":1,"content":"[CLS]","special":true},
 {"id":2,"content":"[SEP]","special":true},{"id":3,"content":"[UNK]","special":true}],
 "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
 "pre_tokenizer":{"type":"BertPreTokenizer"},
 "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},
  {"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":[],
  "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}},
 "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
 "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
  "vocab":{"[PAD]":0,"[CLS]":1,"[SEP]":2,"[UNK]":3,"a":4,"cat":5,"sat":6,"dog":7,"query":8,":":9,".":10,"##1":11,"1":12,
   "2":13,"##2":14,"3":15,"##3":16,"4":17,"##4":18,"5":19,"##5":20,"6":21,"##6":22,"7":23,"##7":24,"8":25,"##8":26,
   "9":27,"##9":28,"0":29,"##0":30}}})");
  if (model.find('-') != std::string::npos) return;  // it has a head of its own
  add("modules.json", R"([{"path":"","type":"x.Transformer"},{"path":"p","type":"x.Pooling"},{"type":"x.Normalize"}])");
  add("p/config.json", R"({"pooling_mode":"mean"})");
  add("config_sentence_transformers.json", prompts);
}

}  // namespace miao::search
