// VectorIndex: vectors by nearness. Rows are brought to length 1, so a score is a cosine.
//
//   VectorIndex index(384);
//   MIAO_CHECK_OK(index.add(rows));                                  // float32, one row below the other
//   MIAO_CHECK_OK(index.connect());                                  // for approximate search; exact needs it not
//   MIAO_TRY(std::vector<Hit> hits, index.query(vector, 10, Method::approximate));
//   MIAO_CHECK_OK(index.save("notes.miaoindex"));
//
// Exact search reads every row. Approximate search walks a graph of neighbours and reads some hundreds of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::search {

struct Hit {
  int64_t row;
  float score;  // -1 to 1
};

enum class Method : uint8_t { exact, approximate };

// Where exact search is as fast as anybody can wait for, connecting rows is work without a gain.
constexpr int64_t kExactRows = 10000;

struct ConnectOptions {
  std::function<void(int64_t done, int64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

class VectorIndex {
 public:
  explicit VectorIndex(int64_t dim);
  VectorIndex(VectorIndex&&) noexcept;
  VectorIndex& operator=(VectorIndex&&) noexcept;
  ~VectorIndex();

  int64_t dim() const;
  int64_t rows() const;
  std::span<const float> row(int64_t i) const;

  // Whole rows. Errors: invalid for a part of a row or a number that is none; out_of_memory.
  Result<void> add(std::span<const float> vectors);
  // These rows, ascending, become rows 0, 1, ...; all others go, and the graph with them.
  void keep(std::span<const int64_t> rows);
  // Puts the rows that are not in the graph into it. Errors: cancelled, between two rows; out_of_memory.
  Result<void> connect(const ConnectOptions& options = {});
  void disconnect();
  bool connected() const;  // the graph holds all rows

  // At most `count` hits, the best first, equal ones by their row. Approximate search is exact where rows are not
  // connected. Errors: invalid for a vector of another size or with a number that is none.
  Result<std::vector<Hit>> query(std::span<const float> vector, size_t count, Method method) const;

  // `extra`: bytes of the caller's, which load() gives back. The file replaces another one at once or not at all.
  Result<void> save(const std::filesystem::path& path, std::string_view extra = {}) const;
  struct Loaded;
  // Errors: not_found; invalid: no index at all; corrupt: damaged; unsupported: of another version; out_of_memory.
  static Result<Loaded> load(const std::filesystem::path& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct VectorIndex::Loaded {
  VectorIndex index;
  std::string extra;
};

}  // namespace miao::search
