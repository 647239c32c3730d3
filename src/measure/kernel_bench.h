// Speed of each matrix kernel by itself: every format that an instruction set has, as GEMV (one row of activations, a
// weight that no cache level of one core holds) and as GEMM (256 rows).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"

namespace miao::measure {

struct KernelRow {
  std::string isa, format;
  std::string gemv, gemm;            // the kernels' names
  double gemv_bytes_per_second = 0;  // packed weights read
  double gemm_ops_per_second = 0;    // a multiply-add is two
};

// `isa` empty = every one of this processor. `progress` gets each row when it is done. Errors: invalid for an unknown
// instruction set, unsupported for one that this processor lacks, out_of_memory.
Result<std::vector<KernelRow>> bench_kernels(ThreadPool& pool, const std::string& isa, double seconds,
                                             const std::function<void(const KernelRow&)>& progress = {});

}  // namespace miao::measure
