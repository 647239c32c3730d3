// Every figure is the best of many short rounds: what disturbs a round (another process, a host that steals time) only
// makes it slower, so the best is nearest to what the hardware can do.
#include "measure/machine.h"

#include <sys/utsname.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/clock.h"
#include "base/env.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "kernels/kernels.h"
#include "kernels/probe.h"

namespace miao::measure {

namespace fs = std::filesystem;
using kernels::Isa;

namespace {

Isa best_isa() {
  const kernels::Kernels* tables[static_cast<size_t>(Isa::count)];
  return tables[kernels::available(cpu_features(), tables) - 1]->isa;
}

std::string first_line(const char* path) {
  const auto text = read_file(path, 1 << 16);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

// Operations a second of all threads together, best of the rounds that fit into `seconds`.
template <class Sink>
double arithmetic(ThreadPool& pool, int64_t (*loop)(int64_t, Sink*), double seconds) {
  constexpr double kRound = 0.005;  // seconds: long against a barrier, short against a time slice
  int64_t rounds = 64;
  Sink sink;
  for (;;) {  // one thread finds out how many rounds that takes
    const double start = now_seconds();
    loop(rounds, &sink);
    const double took = now_seconds() - start;
    if (took > kRound) break;
    rounds *= took > kRound / 10 ? 2 : 8;
  }
  double best = 0, end = 0;
  std::atomic<bool> more{true};
  std::atomic<int64_t> operations{0};
  pool.run([&](Worker& worker) {
    Sink own;
    double start = 0;
    while (true) {
      worker.barrier();
      if (worker.index == 0) {
        start = now_seconds();
        if (end == 0) end = start + seconds;
        operations.store(0);
      }
      worker.barrier();
      operations += loop(rounds, &own);
      worker.barrier();
      if (worker.index == 0) {
        const double now = now_seconds();
        best = std::max(best, static_cast<double>(operations.load()) / (now - start));
        more = now < end;
      }
      worker.barrier();
      if (!more) break;
    }
  });
  return best;
}

double barrier_seconds(ThreadPool& pool, double seconds) {
  constexpr int kBarriers = 500;
  double best = 1;
  const double end = now_seconds() + seconds;
  while (now_seconds() < end) {
    double took = 0;
    pool.run([&](Worker& worker) {
      worker.barrier();
      const double start = now_seconds();
      for (int i = 0; i < kBarriers; ++i) worker.barrier();
      if (worker.index == 0) took = now_seconds() - start;
    });
    best = std::min(best, took / kBarriers);
  }
  return best;
}

// Changes whenever a cached figure of another machine, container size or version would be wrong here.
std::string fingerprint() {
  const CpuLimits limits = cpu_limits();
  std::string text = "probe 1|" + cpu_features().brand + "|" + std::to_string(limits.physical_cores) + "|" +
                     std::to_string(limits.cpuset) + "|" + std::to_string(limits.quota) + "|" +
                     std::to_string(limits.memory_total >> 28);
  utsname names{};
  if (uname(&names) == 0) text += std::string("|") + names.nodename + "|" + names.release;
  return sha256_hex(text).substr(0, 16);
}

// The cached figures when they are of this machine, else an empty object.
Json read_cache(const fs::path& file, const std::string& machine) {
  const auto text = read_file(file, 1 << 20);
  if (!text.ok()) return Json::object();
  auto parsed = parse_json(*text, file.string());
  const bool usable =
      parsed.ok() && parsed->is_object() && parsed->contains("machine") && (*parsed)["machine"] == machine;
  return usable ? std::move(*parsed) : Json::object();
}

}  // namespace

fs::path cache_folder() {
  if (const auto folder = env("MIAO_CACHE")) return *folder;
  if (const auto folder = env("XDG_CACHE_HOME")) return fs::path(*folder) / "miao";
  return fs::path(env("HOME").value_or("/")) / ".cache" / "miao";
}

void reset_peak_rss() {
  std::ofstream("/proc/self/clear_refs") << "5";  // see proc(5)
}

double Machine::best_read(int threads, int64_t at_least_bytes) const {
  double best = 0;
  for (const ReadPoint& p : read) {
    if (p.threads == threads && p.bytes >= at_least_bytes) best = std::max(best, p.bytes_per_second);
  }
  return best;
}

Result<double> read_bandwidth(ThreadPool& pool, int64_t bytes, double seconds) {
  const kernels::Probe probe = kernels::probe(best_isa());
  const int64_t size = kernels::round_up(bytes, kernels::kProbeBlock * pool.threads());
  MIAO_TRY(const Memory memory, Memory::allocate(static_cast<size_t>(size)));
  std::atomic<uint64_t> digest{0};
  std::atomic<bool> more{true};
  double best = 0, end = 0;
  // Small buffers are read several times a pass, so that a pass lasts long against its barriers.
  const int64_t repeats = std::max<int64_t>(1, (int64_t{8} << 20) / size);
  pool.run([&](Worker& worker) {
    const Range own = worker.split(size, kernels::kProbeBlock);
    std::memset(memory.data() + own.begin, worker.index + 1, static_cast<size_t>(own.size()));
    double start = 0;
    uint64_t sum = 0;
    while (true) {
      worker.barrier();
      if (worker.index == 0) {
        start = now_seconds();
        if (end == 0) end = start + seconds;
      }
      worker.barrier();
      for (int64_t i = 0; i < repeats; ++i) sum += probe.read(memory.data() + own.begin, own.size());
      worker.barrier();
      if (worker.index == 0) {
        const double now = now_seconds();
        best = std::max(best, static_cast<double>(size * repeats) / (now - start));
        more = now < end;
      }
      worker.barrier();
      if (!more) break;
    }
    digest += sum;
  });
  return best;
}

PeakPoint compute_peaks(ThreadPool& pool, double seconds) {
  PeakPoint out;
  out.threads = pool.threads();
  const Isa isa = best_isa();
  const kernels::Probe vectors = kernels::probe(std::min(isa, Isa::avx512));
  out.fp32 = arithmetic(pool, vectors.fp32, seconds);
  out.int8 = arithmetic(pool, vectors.int8, seconds);
  if (isa == Isa::amx) out.amx = arithmetic(pool, kernels::probe(isa).int8, seconds);
  out.barrier = barrier_seconds(pool, seconds / 4);
  return out;
}

Machine describe_machine() {
  Machine out;
  out.brand = cpu_features().brand;
  const kernels::Kernels* tables[static_cast<size_t>(Isa::count)];
  const int count = kernels::available(cpu_features(), tables);
  for (int i = 0; i < count; ++i) out.isas.push_back(tables[i]->name);
  out.limits = cpu_limits();
  utsname names{};
  if (uname(&names) == 0) out.kernel = std::string(names.sysname) + " " + names.release;
  const std::string pages = first_line("/sys/kernel/mm/transparent_hugepage/enabled");  // "always [madvise] never"
  if (const size_t open = pages.find('['); open != std::string::npos) {
    out.huge_pages = pages.substr(open + 1, pages.find(']') - open - 1);
  }
  out.energy_counter = !first_line("/sys/class/powercap/intel-rapl:0/energy_uj").empty();  // root's, as a rule
  double load = 0;
  if (getloadavg(&load, 1) == 1) out.load = load;
  return out;
}

Result<Machine> probe_machine(const ProbeOptions& options) {
  Machine out = describe_machine();
  const int last = options.max_threads > 0 ? options.max_threads : out.limits.threads();
  std::vector<int> counts;
  for (int n = 1; n < last; n *= 2) counts.push_back(n);
  counts.push_back(last);
  const int64_t largest = std::min<int64_t>(options.largest, static_cast<int64_t>(out.limits.memory_free / 4));
  for (int threads : counts) {
    MIAO_TRY(const auto pool, ThreadPool::create(threads));
    for (int64_t bytes = int64_t{1} << 20; bytes <= largest; bytes *= 4) {
      MIAO_TRY(const double rate, read_bandwidth(*pool, bytes, options.seconds));
      out.read.push_back({threads, bytes, rate});
    }
    out.peaks.push_back(compute_peaks(*pool, options.seconds));
  }
  return out;
}

Result<double> cached_read_bandwidth(ThreadPool& pool, int64_t bytes, double seen) {
  constexpr int64_t kLeast = int64_t{1} << 20, kMost = int64_t{1} << 30;
  int64_t size = kLeast;
  while (size < bytes && size < kMost) size *= 2;
  while (size > kLeast && static_cast<uint64_t>(size) > cpu_limits().memory_free / 4) size /= 2;
  const fs::path file = cache_folder() / "bandwidth.json";
  const std::string machine = fingerprint();
  const std::string key = std::to_string(pool.threads()) + " threads, " + std::to_string(size >> 20) + " MiB";
  Json known = read_cache(file, machine);
  if (const auto entry = known.find(key); entry != known.end() && entry->is_number()) {
    const double rate = entry->get<double>();
    if (rate > 0 && rate >= seen) return rate;
  }
  MIAO_TRY(const double measured, read_bandwidth(pool, size, 0.3));
  const double rate = std::max(measured, seen);
  known["machine"] = machine;
  known[key] = rate;
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  (void)write_file_atomic(file, dump_json(known, 2) + "\n");
  return rate;
}

}  // namespace miao::measure
