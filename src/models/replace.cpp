// Model::replace(): weights in other types in a loaded model, for measuring what a type costs before a file is written.
#include <algorithm>

#include "models/model.h"

namespace miao::models {

namespace {

bool reads(const graph::Linear& linear, std::string_view name) {
  for (size_t i = 0; i < linear.parts(); ++i) {
    if (linear.source(i) == name) return true;
  }
  return false;
}

}  // namespace

Result<void> Model::replace(std::span<const TensorView> tensors) {
  for (const TensorView& t : tensors) {
    if (!checkpoint_.find(t.name)) return Error{Code::not_found, "the model has no such tensor to replace", t.name};
    if (t.data) {
      replacements_[t.name] = t;
    } else {
      replacements_.erase(t.name);
    }
    if (weights_.embedding.name == t.name) weights_.embedding = tensor(t.name);
  }
  Result<void> done;
  std::vector<bool> used(tensors.size());
  for_linears(weights_, [&](const char*, graph::Linear& linear) {
    bool any = false;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!reads(linear, tensors[i].name)) continue;
      any = used[i] = true;
    }
    if (any && done.ok()) done = repack(linear);
  });
  MIAO_CHECK_OK(done);
  const auto missed = std::find(used.begin(), used.end(), false);
  if (missed != used.end()) {
    const TensorView& t = tensors[static_cast<size_t>(missed - used.begin())];
    if (t.name != weights_.embedding.name) return Error{Code::invalid, "is no matrix that a product reads", t.name};
  }
  return build_programs();
}

TensorView Model::tensor(std::string_view name) const {
  const auto at = replacements_.find(name);
  return at != replacements_.end() ? at->second : *checkpoint_.find(name);
}

Result<void> Model::repack(graph::Linear& linear) {
  MIAO_TRY(graph::Linear fresh, linear.with(context_, [&](std::string_view name) { return tensor(name); }));
  MIAO_TRY(Memory memory, Memory::allocate(static_cast<size_t>(fresh.packed_bytes())));
  MIAO_CHECK_OK(fresh.pack(context_, memory.data(), {}));
  linear = std::move(fresh);
  repacked_[&linear] = std::move(memory);
  return {};
}

}  // namespace miao::models
