// Packing: from the tensors of a file, or from the cache of packed weights; see weights.h.
#include <algorithm>
#include <functional>
#include <string>

#include "base/checksum.h"
#include "base/log.h"
#include "kernels/table.h"
#include "models/weights.h"

namespace miao::models {

namespace {

// Gives the pages of packed tensors back. Each time costs a message to every core, a fifth of the start when done for
// every tensor of a small model: so what stands together in the file is given back some MiB at a time.
class Pages {
 public:
  explicit Pages(const io::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}
  ~Pages() { give_back(); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  void add(const TensorView& t) {
    const std::byte* const end = t.data + t.bytes;
    const std::byte* const first = std::min(begin_, t.data, std::less<>());
    const std::byte* const last = std::max(end_, end, std::less<>());
    if (bytes_ > 0 && static_cast<uint64_t>(last - first) > 2 * (bytes_ + t.bytes)) give_back();  // far apart
    begin_ = bytes_ > 0 ? first : t.data;
    end_ = bytes_ > 0 ? last : end;
    bytes_ += t.bytes;
    if (bytes_ >= kBytes) give_back();
  }

 private:
  static constexpr uint64_t kBytes = uint64_t{8} << 20;

  void give_back() {
    if (bytes_ > 0) checkpoint_.release({begin_, static_cast<size_t>(end_ - begin_)});
    bytes_ = 0;
  }

  const io::Checkpoint& checkpoint_;
  const std::byte *begin_ = nullptr, *end_ = nullptr;  // covers all that was added
  uint64_t bytes_ = 0;                                 // added
};

// What the packed bytes depend on: the code that packs, the files, and what is made of them. Not the ISA: all pack
// alike.
PackKey pack_key(const io::Checkpoint& checkpoint, const Weights& weights) {
  std::string text = "layout " + std::to_string(kernels::kPackedLayout) + '\n' + checkpoint.identity();
  for_linears(weights, [&](const char*, const graph::Linear& linear) { text += linear.recipe(); });
  return {fingerprint(text), checkpoint.first_file().string()};
}

int64_t padded_bytes(const graph::Linear& linear) { return kernels::round_up(linear.packed_bytes(), 64); }

}  // namespace

int64_t packed_bytes(const Weights& weights) {
  int64_t total = 0;
  for_linears(weights, [&](const char*, const graph::Linear& linear) { total += padded_bytes(linear); });
  return total;
}

Result<void> pack_weights(const Source& source, const graph::Context& context, Weights& weights,
                          const std::filesystem::path& folder, const std::atomic<bool>* cancel) {
  const auto bytes = static_cast<size_t>(packed_bytes(weights));
  Pages pages(source.checkpoint());
  if (!folder.empty() && bytes > 0) {
    weights.key = pack_key(source.checkpoint(), weights);
    for (const TensorView& t : source.checkpoint().tensors()) pages.add(t);  // norms brought in what is beside them
    auto pack = open_pack(folder, weights.key, bytes, context.pool);
    if (pack.ok()) {
      weights.pack = std::move(*pack);
      const std::byte* from = weights.pack.data();
      for_linears(weights, [&](const char*, graph::Linear& linear) {
        linear.attach(from);
        from += padded_bytes(linear);
      });
      return {};
    }
    if (pack.error().code != Code::not_found) log_info("packed weights: " + pack.error().str());
  }
  MIAO_TRY(weights.memory, Memory::allocate(bytes));
  std::byte* at = weights.memory.data();
  Result<void> packed;
  for_linears(weights, [&](const char*, graph::Linear& linear) {
    if (!packed.ok()) return;
    packed = cancel && *cancel ? Error{Code::cancelled, "interrupted", {}}
                               : linear.pack(context, at, [&](const TensorView& t) { pages.add(t); });
    at += padded_bytes(linear);
  });
  return packed;
}

}  // namespace miao::models
