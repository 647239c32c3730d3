// See graph.h. An element of the library's index is a "handle": a row's number, or for a query the address of its
// vector. So vectors are not copied into the graph, and every caller searches with a vector of its own.
//
// The library's own files are not used: it reads them without looking at the links, so that a bad one could lead
// anywhere in memory, and writes them without looking for errors. In bytes(), all little endian:
//   u32 rows | u32 links a node has at most above level 0 | u32 entry node | u8 level of each node
//   | for each node, for each of its levels from 0: u16 count, u32 neighbour * count
#include "search/hnsw/graph.h"

// Without it the library brings intrinsics of its own, whose prefetches read behind the ends of lists.
#define NO_MANUAL_VECTORIZATION
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/memory.h"

namespace miao::search {

namespace {

using Index = hnswlib::HierarchicalNSW<float>;

// Higher values find more and cost more. Recall is held above 0.95 by vectors_test.cpp.
constexpr size_t kLinks = 16;          // of a node on each level above 0; twice as many on level 0
constexpr size_t kBuildBreadth = 128;  // candidates looked at to place a node
constexpr size_t kMinBreadth = 128;    // candidates looked at for a query
constexpr size_t kSeed = 100;
constexpr uint64_t kNodeBytes = 300;  // of memory, about
constexpr int kMaxLevel = 64;

constexpr uint64_t kQuery = uint64_t{1} << 63;  // set in the handle of a query; addresses of user space have it not

uint64_t handle_of(const float* query) { return reinterpret_cast<uintptr_t>(query) | kQuery; }

const float* vector_of(const void* element, const Rows& rows) {
  uint64_t handle;
  std::memcpy(&handle, element, sizeof handle);
  if (handle & kQuery) return reinterpret_cast<const float*>(static_cast<uintptr_t>(handle & ~kQuery));
  return rows.row(static_cast<int64_t>(handle));
}

float distance(const void* a, const void* b, const void* rows) {
  const auto& r = *static_cast<const Rows*>(rows);
  return 1 - dot(vector_of(a, r), vector_of(b, r), r.dim);
}

class Space : public hnswlib::SpaceInterface<float> {
 public:
  explicit Space(const Rows& rows) : rows_(&rows) {}
  size_t get_data_size() override { return sizeof(uint64_t); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
  void* get_dist_func_param() override { return const_cast<Rows*>(rows_); }

 private:
  const Rows* rows_;
};

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  bool get(T& value) {
    if (bytes_.size() < sizeof value) return false;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return true;
  }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
};

Error out_of_memory() {
  return {Code::out_of_memory, "the graph of the search index does not fit into memory; search with --exact", {}};
}

Result<void> check_capacity(int64_t rows) {
  if (rows > std::numeric_limits<int32_t>::max()) {
    return Error{Code::invalid, "a graph holds at most 2147483647 vectors; search with --exact", {}};
  }
  return require_memory(static_cast<uint64_t>(rows) * kNodeBytes, "the graph of the search index",
                        "search with --exact");
}

}  // namespace

float dot(const float* a, const float* b, int64_t dim) {
  constexpr int64_t kLanes = 16;
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
  }
  for (; i < dim; ++i) lanes[i % kLanes] += a[i] * b[i];
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

struct Graph::State {
  State(const Rows& r, int64_t capacity)
      : rows(&r),
        space(r),
        // One more than asked for: the library allocates nothing for none.
        index(&space, static_cast<size_t>(capacity) + 1, kLinks, kBuildBreadth, kSeed) {}

  std::string node(hnswlib::tableint i) const;

  const Rows* rows;
  Space space;
  Index index;
};

Graph::Graph(std::unique_ptr<State> state) : state_(std::move(state)) {}
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;

Result<Graph> Graph::create(const Rows& rows, int64_t capacity) {
  MIAO_CHECK_OK(check_capacity(capacity));
  try {
    return Graph(std::make_unique<State>(rows, capacity));
  } catch (const std::exception&) {  // the library's word for memory that ran out is a runtime_error
    return out_of_memory();
  }
}

int64_t Graph::size() const { return static_cast<int64_t>(state_->index.cur_element_count); }

Result<void> Graph::reserve(int64_t capacity) {
  if (capacity < static_cast<int64_t>(state_->index.max_elements_)) return {};
  MIAO_CHECK_OK(check_capacity(capacity));
  try {
    state_->index.resizeIndex(static_cast<size_t>(capacity) + 1);
  } catch (const std::exception&) {
    return out_of_memory();
  }
  return {};
}

Result<void> Graph::add() {
  const auto row = static_cast<uint64_t>(size());
  MIAO_CHECK(row < static_cast<uint64_t>(state_->rows->count()));
  MIAO_CHECK(row < state_->index.max_elements_);
  try {
    state_->index.addPoint(&row, row);
  } catch (const std::exception&) {
    return out_of_memory();
  }
  return {};
}

std::vector<int64_t> Graph::nearest(const float* query, size_t count) const {
  const uint64_t handle = handle_of(query);
  const size_t breadth = std::max(2 * count, kMinBreadth);
  auto found = state_->index.searchKnn(&handle, std::min(breadth, static_cast<size_t>(size())));
  std::vector<int64_t> out;
  for (; !found.empty(); found.pop()) {
    if (found.size() <= count) out.push_back(static_cast<int64_t>(found.top().second));
  }
  return out;
}

std::string Graph::bytes() const {
  const Index& index = state_->index;
  const auto rows = static_cast<hnswlib::tableint>(index.cur_element_count);
  std::string out;
  put(out, uint32_t{rows});
  put(out, static_cast<uint32_t>(kLinks));
  put(out, uint32_t{index.enterpoint_node_});
  for (hnswlib::tableint i = 0; i < rows; ++i) put(out, static_cast<uint8_t>(index.element_levels_[i]));
  for (hnswlib::tableint i = 0; i < rows; ++i) {
    for (int level = 0; level <= index.element_levels_[i]; ++level) {
      hnswlib::linklistsizeint* const list = index.get_linklist_at_level(i, level);
      const uint16_t count = index.getListCount(list);
      put(out, count);
      out.append(reinterpret_cast<const char*>(list + 1), count * sizeof(uint32_t));
    }
  }
  return out;
}

Result<Graph> Graph::parse(std::span<const std::byte> bytes, const Rows& rows) {
  const Error corrupt{Code::corrupt, "the graph of the search index is damaged", {}};
  Cursor in(bytes);
  uint32_t count = 0, links = 0, entry = 0;
  if (!in.get(count) || !in.get(links) || !in.get(entry)) return corrupt;
  if (count == 0 || count > rows.count() || links != kLinks || entry >= count) return corrupt;
  std::vector<uint8_t> levels(count);
  for (uint8_t& level : levels) {
    if (!in.get(level) || level > kMaxLevel) return corrupt;
  }
  const int top = *std::max_element(levels.begin(), levels.end());
  if (levels[entry] != top) return corrupt;
  MIAO_TRY(Graph out, create(rows, rows.count()));
  Index& index = out.state_->index;
  for (uint32_t i = 0; i < count; ++i) {
    std::memset(index.data_level0_memory_ + i * index.size_data_per_element_, 0, index.size_data_per_element_);
    const uint64_t handle = i;
    std::memcpy(index.getDataByInternalId(i), &handle, sizeof handle);
    index.setExternalLabel(i, i);
    index.label_lookup_[i] = i;
    if (levels[i] > 0) {
      const size_t size = index.size_links_per_element_ * levels[i];
      index.linkLists_[i] = static_cast<char*>(std::calloc(size, 1));  // the library frees it
      if (!index.linkLists_[i]) return out_of_memory();
    }
    index.element_levels_[i] = levels[i];
    index.cur_element_count = i + 1;  // with it the destructor knows what to free
    for (uint8_t level = 0; level <= levels[i]; ++level) {
      uint16_t size = 0;
      if (!in.get(size) || size > (level == 0 ? 2 * kLinks : kLinks)) return corrupt;
      hnswlib::linklistsizeint* const list = index.get_linklist_at_level(i, level);
      index.setListCount(list, size);
      for (uint16_t n = 1; n <= size; ++n) {
        if (!in.get(list[n]) || list[n] >= count || levels[list[n]] < level) return corrupt;
      }
    }
  }
  if (!in.at_end()) return corrupt;
  index.enterpoint_node_ = entry;
  index.maxlevel_ = top;
  // So that the levels of rows to come do not repeat those of the first rows.
  index.level_generator_.seed(kSeed + count);
  return out;
}

}  // namespace miao::search
