// Recipe: which format each tensor of a model gets, by the name of a mix ("Q4_K_M", "Q4_0", "F16").
//
// The mixes are those of llama-quantize, tensor for tensor, so that files of one name can be compared and are of one
// size. A format whose blocks do not divide a tensor's rows gives way to the next larger one that does, as there; the
// choice says so, since a file may otherwise hold little of what it is called after.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace miao::compress {

// A tensor by its name in GGUF files.
struct Subject {
  std::string name;
  std::vector<int64_t> shape;  // outermost first
  DType dtype = DType::f32;    // as it is now
  bool keep = false;           // in the type that it has: vectors, routers, positions
};

// What the mixes look at.
struct Anatomy {
  int64_t layers = 0;
  int64_t heads_per_kv = 1;  // query heads that share a key head
  int64_t experts = 0;
  bool tied = false;  // the output matrix is the embedding
};

struct Choice {
  DType dtype;
  DType wished;  // what the mix says, where the shape did not allow it; else dtype
};

// NAME=TYPE of a command line. A name with * ? or [ is a pattern of the whole name, any other one a part of it.
struct Override {
  std::string pattern;
  DType dtype;
  bool whole = false;  // the pattern is the name of one tensor
};
Result<Override> parse_override(std::string_view text);
// A file with a line for each tensor, NAME=TYPE with its whole name; lines that begin with # are remarks. Errors:
// invalid, with the number of the line.
Result<std::vector<Override>> parse_overrides(std::string_view file);

struct RecipeOptions {
  bool importance = false;          // activations are known: some mixes then trust small formats more
  bool pure = false;                // every matrix in the mix's base format
  std::vector<Override> overrides;  // the first that fits counts
};

class Recipe {
 public:
  // Errors: unsupported, with the list of names.
  static Result<Recipe> named(std::string_view name);
  static std::vector<std::string_view> names();

  std::string_view name() const { return name_; }
  DType base() const { return base_; }
  uint32_t file_type() const { return file_type_; }  // general.file_type of GGUF
  // One choice a subject.
  std::vector<Choice> choose(std::span<const Subject> subjects, const Anatomy& anatomy,
                             const RecipeOptions& options) const;

  struct Rule;

 private:
  Recipe(std::string_view name, DType base, uint32_t file_type, std::span<const Rule> rules)
      : name_(name), base_(base), file_type_(file_type), rules_(rules) {}

  DType wish(const Subject& subject, const Anatomy& anatomy, const RecipeOptions& options) const;

  std::string_view name_;
  DType base_;
  uint32_t file_type_;
  std::span<const Rule> rules_;
};

// The mix whose base is `dtype`: what a file that holds mostly that is called. F16 where there is none.
Recipe recipe_of(DType dtype);
// The format that takes the place of `wished` where rows have `cols` values.
DType fitting(DType wished, int64_t cols);

}  // namespace miao::compress
