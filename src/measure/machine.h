// Machine: what this computer can do at best, measured: read bandwidth, FP32 and int8 arithmetic, the cost of a
// barrier. A model's speed is judged against these: decoding reads every weight once a token, prefill is integer
// arithmetic.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/result.h"
#include "base/thread_pool.h"

namespace miao::measure {

struct ReadPoint {
  int threads = 1;
  int64_t bytes = 0;            // read in each pass, by all threads together
  double bytes_per_second = 0;  // of the best pass
};

struct PeakPoint {
  int threads = 1;
  double fp32 = 0;     // operations a second; a multiply-add is two
  double int8 = 0;     // with the vector instructions of the ISA (VNNI where there)
  double amx = 0;      // with AMX tiles; 0 = the processor has none
  double barrier = 0;  // seconds per barrier of the thread pool
};

struct Machine {
  std::string brand;
  std::vector<std::string> isas;  // that this processor runs, the best last
  CpuLimits limits;
  std::string kernel;           // "Linux 6.1.0-18-amd64"
  std::string huge_pages;       // "always", "madvise", "never"; empty = not known
  bool energy_counter = false;  // the processor's (RAPL) is there and may be read
  double load = 0;              // processes that wanted to run in the last minute, before the probes
  std::vector<ReadPoint> read;
  std::vector<PeakPoint> peaks;

  double best_read(int threads, int64_t at_least_bytes) const;  // bytes a second; 0 where not measured
};

struct ProbeOptions {
  int max_threads = 0;    // 0 = what the machine allows; 1 .. that many are measured (powers of two and the last)
  double seconds = 0.25;  // per figure
  int64_t largest = int64_t{1} << 30;  // bytes of the largest read buffer; also at most a quarter of the free memory
};

// Errors: out_of_memory.
Result<Machine> probe_machine(const ProbeOptions& options);
// The facts alone, nothing measured.
Machine describe_machine();

// Bytes a second that the pool reads from `bytes` of memory (its own, written by the threads that read it), best pass
// within `seconds`.
Result<double> read_bandwidth(ThreadPool& pool, int64_t bytes, double seconds);
PeakPoint compute_peaks(ThreadPool& pool, double seconds);

// The read bandwidth for a working set of about `bytes`, from the cache file when it holds one for this machine, pool
// size and power of two of bytes, else measured for a third of a second and put there. `seen` is a speed that was
// reached already: a cached figure below it came from a busy machine and is measured anew; the result is never below
// `seen`. A cache that cannot be read or written is no Error.
Result<double> cached_read_bandwidth(ThreadPool& pool, int64_t bytes, double seen = 0);

// Peak memory of this process (base/cpu.h) counts anew from what it holds now, where the kernel allows that.
void reset_peak_rss();

// $MIAO_CACHE, else $XDG_CACHE_HOME/miao, else ~/.cache/miao.
std::filesystem::path cache_folder();

}  // namespace miao::measure
