// Checkpoints without data: of remote files, of which only the first bytes are here, and of models that are planned.
// See checkpoint.h.
#include <algorithm>

#include "io/checkpoint.h"

namespace miao::io {

namespace fs = std::filesystem;

Result<Checkpoint> Checkpoint::of_heads(const fs::path& folder, std::string_view entry, std::vector<Head> heads) {
  const fs::path path = entry.empty() ? folder : folder / entry;
  Checkpoint out(path);
  out.heads_folder_ = folder;
  out.heads_ = std::make_shared<const std::vector<Head>>(std::move(heads));
  MIAO_CHECK_OK(entry.empty() ? out.open_directory() : out.open_file(path));
  MIAO_CHECK_OK(out.index_tensors());
  return out.hollow();
}

Result<Checkpoint> Checkpoint::hollow() const {
  Checkpoint out(path_);
  out.kind_ = kind_;
  out.directory_ = directory_;
  out.meta_ = meta_;
  out.gguf_keys_ = gguf_keys_;
  out.heads_folder_ = heads_folder_;
  out.heads_ = heads_;
  out.tensors_ = tensors_;
  out.filling_ = filling_;
  out.hollow_ = true;
  uint64_t largest = 0, factors = 0;
  const auto is_factor = [](const TensorView& t) { return t.name.starts_with("rope_") && t.dtype == DType::f32; };
  const auto is_number = [](const TensorView& t) { return t.data && t.elements() == 1; };
  for (const TensorView& t : tensors_) {
    uint64_t& most = is_factor(t) ? factors : largest;
    most = std::max(most, t.bytes);
  }
  MIAO_TRY(Memory zeros, Memory::zeros(largest));
  MIAO_TRY(Memory ones, Memory::allocate(factors));
  std::fill_n(ones.as<float>(), factors / sizeof(float), 1.0f);
  for (TensorView& t : out.tensors_) {
    if (!is_factor(t) && !is_number(t)) t.data = zeros.data();
    if (!t.data) t.data = ones.data();
  }
  out.filling_.push_back(std::make_shared<const Memory>(std::move(zeros)));
  out.filling_.push_back(std::make_shared<const Memory>(std::move(ones)));
  for (const auto& file : files_) out.meta_.keep(file);  // of keys and of factors
  MIAO_CHECK_OK(out.index_tensors());
  return out;
}

const Checkpoint::Head* Checkpoint::head(const fs::path& path) const {
  const std::string name = path.lexically_relative(heads_folder_).string();
  const auto at = std::ranges::find_if(*heads_, [&](const Head& h) { return h.name == name; });
  return at == heads_->end() ? nullptr : &*at;
}

}  // namespace miao::io
