// See vectors.h; the file is drawn in docs/formats/search_index.md.
#include "search/vectors.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"
#include "base/checksum.h"
#include "base/file.h"
#include "base/memory.h"
#include "search/hnsw/graph.h"

namespace miao::search {

namespace fs = std::filesystem;

namespace {

using Bytes = std::span<const std::byte>;

constexpr char kMagic[8] = {'m', 'i', 'a', 'o', 'i', 'n', 'd', 'x'};
constexpr uint32_t kVersion = 1;
constexpr int64_t kMaxDim = 1 << 20;

// The front of the file; behind it stand rows | graph | extra.
struct Header {
  char magic[8];
  uint32_t version, dim;
  uint64_t rows, graph_bytes, extra_bytes;
  uint64_t rows_sum, graph_sum, extra_sum;  // checksums of the three parts
  uint64_t sum;                             // of the header before it
};
static_assert(sizeof(Header) == 72);

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
uint64_t sum_of(const Header& header) {
  return checksum(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, sum)));
}

// False: a number that is none, or beyond what can be squared.
bool normalise(std::span<float> row) {
  double sum = 0;
  for (const float x : row) sum += double{x} * double{x};
  if (!std::isfinite(sum)) return false;
  if (sum == 0) return true;  // an empty direction is near to nothing: every score is 0
  const double scale = 1 / std::sqrt(sum);
  for (float& x : row) x = static_cast<float>(double{x} * scale);
  return true;
}

bool better(const Hit& a, const Hit& b) { return a.score != b.score ? a.score > b.score : a.row < b.row; }

void keep_best(std::vector<Hit>& hits, size_t count) {
  count = std::min(count, hits.size());
  std::partial_sort(hits.begin(), hits.begin() + static_cast<ptrdiff_t>(count), hits.end(), better);
  hits.resize(count);
}

}  // namespace

struct VectorIndex::State {
  Rows rows;
  std::optional<Graph> graph;
};

VectorIndex::VectorIndex(int64_t dim) : state_(std::make_unique<State>()) {
  MIAO_CHECK(dim > 0 && dim <= kMaxDim);
  state_->rows.dim = dim;
}
VectorIndex::VectorIndex(VectorIndex&&) noexcept = default;
VectorIndex& VectorIndex::operator=(VectorIndex&&) noexcept = default;
VectorIndex::~VectorIndex() = default;

int64_t VectorIndex::dim() const { return state_->rows.dim; }
int64_t VectorIndex::rows() const { return state_->rows.count(); }
std::span<const float> VectorIndex::row(int64_t i) const { return {state_->rows.row(i), static_cast<size_t>(dim())}; }

Result<void> VectorIndex::add(std::span<const float> vectors) {
  const auto width = static_cast<size_t>(dim());
  if (vectors.size() % width != 0) {
    return Error{Code::invalid,
                 std::to_string(vectors.size()) + " numbers are no whole vectors of " + std::to_string(width),
                 {}};
  }
  std::vector<float>& data = state_->rows.data;
  const size_t before = data.size();
  if (before + vectors.size() > data.capacity()) {
    const size_t wanted = std::max(before + vectors.size(), before + before / 2);
    MIAO_CHECK_OK(require_memory(wanted * sizeof(float), "the vectors of the search index", "search fewer documents"));
    data.reserve(wanted);
  }
  data.insert(data.end(), vectors.begin(), vectors.end());
  for (size_t at = before; at < data.size(); at += width) {
    if (normalise(std::span(data).subspan(at, width))) continue;
    data.resize(before);
    return Error{
        Code::invalid, "vector " + std::to_string((at - before) / width + 1) + " holds a number that is none", {}};
  }
  return {};
}

void VectorIndex::keep(std::span<const int64_t> rows) {
  disconnect();
  std::vector<float>& data = state_->rows.data;
  const auto width = static_cast<ptrdiff_t>(dim());
  auto to = data.begin();
  for (const int64_t row : rows) {
    const auto from = data.begin() + row * width;
    MIAO_CHECK(from >= to && row < this->rows());
    to = std::copy(from, from + width, to);
  }
  data.erase(to, data.end());
}

Result<void> VectorIndex::connect(const ConnectOptions& options) {
  State& s = *state_;
  if (connected() || rows() == 0) return {};
  if (!s.graph) {
    MIAO_TRY(s.graph, Graph::create(s.rows, rows()));
  }
  MIAO_CHECK_OK(s.graph->reserve(rows()));
  while (s.graph->size() < rows()) {
    if (options.cancel && *options.cancel) return Error{Code::cancelled, "interrupted", {}};
    MIAO_CHECK_OK(s.graph->add());
    if (options.progress) options.progress(s.graph->size(), rows());
  }
  return {};
}

void VectorIndex::disconnect() { state_->graph.reset(); }
bool VectorIndex::connected() const { return state_->graph && state_->graph->size() == rows(); }

Result<std::vector<Hit>> VectorIndex::query(std::span<const float> vector, size_t count, Method method) const {
  const State& s = *state_;
  if (static_cast<int64_t>(vector.size()) != dim()) {
    return Error{Code::invalid,
                 "the vector has " + std::to_string(vector.size()) + " numbers, those of the index have " +
                     std::to_string(dim()),
                 {}};
  }
  std::vector<float> query(vector.begin(), vector.end());
  if (!normalise(query)) return Error{Code::invalid, "the vector holds a number that is none", {}};
  std::vector<Hit> hits;
  const auto add = [&](int64_t row) { hits.push_back({row, dot(query.data(), s.rows.row(row), dim())}); };
  if (method == Method::approximate && connected()) {
    for (const int64_t row : s.graph->nearest(query.data(), count)) add(row);
  } else {
    hits.reserve(static_cast<size_t>(rows()));
    for (int64_t row = 0; row < rows(); ++row) add(row);
  }
  keep_best(hits, count);
  return hits;
}

Result<void> VectorIndex::save(const fs::path& path, std::string_view extra) const {
  const State& s = *state_;
  const Bytes data = std::as_bytes(std::span(s.rows.data));
  const std::string graph = connected() ? s.graph->bytes() : "";
  Header h{.version = kVersion,
           .dim = static_cast<uint32_t>(dim()),
           .rows = static_cast<uint64_t>(rows()),
           .graph_bytes = graph.size(),
           .extra_bytes = extra.size(),
           .rows_sum = checksum(data),
           .graph_sum = checksum(bytes_of(graph)),
           .extra_sum = checksum(bytes_of(extra))};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.sum = sum_of(h);
  const std::string_view parts[] = {text_of(std::as_bytes(std::span(&h, 1))), text_of(data), graph, extra};
  return write_file_atomic(path, parts, 0600);
}

Result<VectorIndex::Loaded> VectorIndex::load(const fs::path& path) {
  MIAO_TRY(const MappedFile file, MappedFile::open(path));
  const Bytes all = file.bytes();
  const Error damaged{Code::corrupt, "the search index is damaged", path.string()};
  if (all.size() < sizeof kMagic || std::memcmp(all.data(), kMagic, sizeof kMagic) != 0) {
    return Error{Code::invalid, "is not a search index", path.string()};
  }
  Header h;
  if (all.size() < sizeof h) return damaged;
  std::memcpy(&h, all.data(), sizeof h);
  if (h.sum != sum_of(h)) return damaged;
  if (h.version != kVersion) {
    return Error{Code::unsupported,
                 "is a search index of version " + std::to_string(h.version) + ", this program knows " +
                     std::to_string(kVersion),
                 path.string()};
  }
  if (h.dim == 0 || h.dim > kMaxDim) return damaged;
  const auto row_bytes = checked_mul(h.rows, uint64_t{h.dim} * sizeof(float));
  auto total = checked_add(sizeof h, row_bytes.value_or(UINT64_MAX));
  if (total) total = checked_add(*total, h.graph_bytes);
  if (total) total = checked_add(*total, h.extra_bytes);
  if (!row_bytes || total != all.size()) return damaged;
  const Bytes data = all.subspan(sizeof h, *row_bytes);
  const Bytes graph = all.subspan(sizeof h + *row_bytes, h.graph_bytes);
  const Bytes extra = all.last(h.extra_bytes);
  if (checksum(data) != h.rows_sum || checksum(graph) != h.graph_sum || checksum(extra) != h.extra_sum) return damaged;
  MIAO_CHECK_OK(require_memory(all.size(), "the search index", "search fewer documents"));
  Loaded out{VectorIndex(h.dim), std::string(text_of(extra))};
  Rows& rows = out.index.state_->rows;
  rows.data.resize(data.size() / sizeof(float));
  if (!data.empty()) std::memcpy(rows.data.data(), data.data(), data.size());
  // A checksum finds damage only; numbers must be such that the graph can compare them, whoever wrote the file.
  for (const float x : rows.data) {
    if (!(std::abs(x) <= 1.001F)) return damaged;
  }
  if (!graph.empty()) {
    auto parsed = Graph::parse(graph, rows);
    if (!parsed.ok()) return std::move(parsed.error()).at(path.string());
    if (parsed->size() != rows.count()) return damaged;
    out.index.state_->graph = std::move(*parsed);
  }
  return out;
}

}  // namespace miao::search
