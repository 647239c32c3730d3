// Context: what every computation gets by reference: the kernels of the chosen instruction set and the threads.
#pragma once

#include "base/thread_pool.h"
#include "kernels/table.h"

namespace miao::graph {

struct Context {
  const kernels::Kernels& kernels;
  ThreadPool& pool;
};

}  // namespace miao::graph
