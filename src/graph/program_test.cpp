#include "graph/program.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "base/cpu.h"
#include "kernels/kernels.h"

namespace miao::graph {
namespace {

// A step made of a function.
class Call final : public Step {
 public:
  using Body = std::function<void(const Worker&, const StepIo&, std::atomic<int64_t>& next)>;
  Call(std::string name, std::vector<Buffer*> uses, const Buffer* out, Body body, int64_t own = 0, int64_t shared = 0)
      : Step(std::move(name), std::move(uses), out), body_(std::move(body)), own_(own), shared_(shared) {}
  void run(const Worker& worker, const StepIo& io) override { body_(worker, io, next_); }
  int64_t own_bytes(int64_t) const override { return own_; }
  int64_t shared_bytes(int64_t max_rows) const override { return shared_ * max_rows; }

 private:
  Body body_;
  int64_t own_, shared_;
};

struct Rig {
  std::unique_ptr<ThreadPool> owner = *ThreadPool::create(3);
  ThreadPool& pool = *owner;
  Context context{**kernels::select(cpu_features(), "scalar"), pool};
  Program program{context};
};

void idle(const Worker&, const StepIo&, std::atomic<int64_t>&) {}

bool overlap(const Buffer* a, const Buffer* b, int64_t rows) {
  return a->data < b->data + rows * b->stride && b->data < a->data + rows * a->stride;
}

TEST(Program, BuffersShareMemoryOnlyWhenTheirLivesDoNotMeet) {
  Rig rig;
  Program& p = rig.program;
  Buffer* const x = p.buffer("x", 100);
  std::vector<Buffer*> chain;
  for (int i = 0; i < 10; ++i) chain.push_back(p.buffer("b", 50 + i));
  p.add<Call>("first", std::vector<Buffer*>{x, chain[0]}, x, idle);
  for (size_t i = 1; i < chain.size(); ++i) p.add<Call>("step", std::vector<Buffer*>{chain[i - 1], chain[i]}, x, idle);
  p.add<Call>("last", std::vector<Buffer*>{x, chain.back()}, x, idle);
  constexpr int64_t kRows = 8;
  ASSERT_TRUE(p.plan(kRows).ok());
  for (size_t i = 0; i < chain.size(); ++i) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(chain[i]->data) % 64, 0u);
    EXPECT_EQ(chain[i]->stride % 16, 0);
    EXPECT_FALSE(overlap(x, chain[i], kRows));
    if (i > 0) EXPECT_FALSE(overlap(chain[i - 1], chain[i], kRows));
  }
  EXPECT_EQ(p.bytes(), kRows * 4 * (112 + 64 + 64));  // x and two of the chain at a time
}

TEST(Program, StepsSeeEachOthersWork) {
  Rig rig;
  Program& p = rig.program;
  Buffer* const a = p.buffer("a", 16);
  Buffer* const b = p.buffer("b", 16);
  p.add<Call>("fill", std::vector<Buffer*>{a}, a, [a](const Worker& w, const StepIo& io, std::atomic<int64_t>& next) {
    for (int64_t t; (t = w.next(next)) < io.rows;) {
      for (int64_t i = 0; i < 16; ++i) a->row(t)[i] = static_cast<float>(io.pass.ids[static_cast<size_t>(t)] + i);
    }
  });
  p.add<Call>("reverse", std::vector<Buffer*>{a, b}, b,
              [a, b](const Worker& w, const StepIo& io, std::atomic<int64_t>&) {
                const Range mine = w.split(io.rows);
                for (int64_t t = mine.begin; t < mine.end; ++t)
                  std::memcpy(b->row(t), a->row(io.rows - 1 - t), 16 * sizeof(float));
              });
  ASSERT_TRUE(p.plan(50).ok());
  for (int round = 0; round < 30; ++round) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 1 + round; ++i) ids.push_back(100 * round + i);
    std::vector<int32_t> wanted(ids.size());
    p.run({.ids = ids, .wanted = wanted});
    for (size_t t = 0; t < ids.size(); ++t)
      EXPECT_EQ(b->row(static_cast<int64_t>(t))[3], static_cast<float>(ids[ids.size() - 1 - t] + 3));
  }
}

TEST(Program, SelectKeepsWantedRows) {
  Rig rig;
  Program& p = rig.program;
  Buffer* const x = p.buffer("x", 4);
  int64_t seen = -1;
  p.add<Call>("fill", std::vector<Buffer*>{x}, x, [x](const Worker& w, const StepIo& io, std::atomic<int64_t>&) {
    const Range mine = w.split(io.rows);
    for (int64_t t = mine.begin; t < mine.end; ++t) x->row(t)[0] = static_cast<float>(t);
  });
  p.select({x});
  p.add<Call>("after", std::vector<Buffer*>{x}, x, [&seen](const Worker& w, const StepIo& io, std::atomic<int64_t>&) {
    if (w.index == 0) seen = io.rows;
  });
  ASSERT_TRUE(p.plan(20).ok());
  const std::vector<int32_t> ids(20);
  const std::vector<int32_t> wanted{2, 3, 11, 19};
  p.run({.ids = ids, .wanted = wanted});
  EXPECT_EQ(seen, 4);
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_EQ(x->row(static_cast<int64_t>(i))[0], static_cast<float>(wanted[i]));
  seen = -1;
  p.run({.ids = ids});
  EXPECT_EQ(seen, -1) << "steps behind select() do not run when nothing is wanted";
}

TEST(Program, ScratchIsPrivateOrShared) {
  Rig rig;
  Program& p = rig.program;
  Buffer* const x = p.buffer("x", 16);
  std::byte* own[3] = {};
  std::byte* shared[3] = {};
  p.add<Call>(
      "scratch", std::vector<Buffer*>{x}, x,
      [&](const Worker& w, const StepIo& io, std::atomic<int64_t>&) {
        own[w.index] = io.own;
        shared[w.index] = io.shared;
        std::memset(io.own, w.index, 1000);
      },
      1000, 30);
  ASSERT_TRUE(p.plan(10).ok());
  const std::vector<int32_t> ids(3);
  p.run({.ids = ids});
  EXPECT_EQ(shared[0], shared[1]);
  EXPECT_EQ(shared[0], shared[2]);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(own[i][0], static_cast<std::byte>(i));
    EXPECT_EQ(own[i][999], static_cast<std::byte>(i));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(own[i]) % 64, 0u);
  }
}

TEST(Program, TapsSeeEveryStepInOrder) {
  Rig rig;
  Program& p = rig.program;
  Buffer* const x = p.buffer("x", 5);
  for (const char* name : {"one", "blk.7.two", "blk.8.two"}) {
    p.add<Call>(name, std::vector<Buffer*>{x}, x, [x](const Worker& w, const StepIo&, std::atomic<int64_t>&) {
      if (w.index == w.count - 1) x->row(0)[0] += 1;
    });
  }
  ASSERT_TRUE(p.plan(4).ok());
  x->row(0)[0] = 0;
  std::vector<std::pair<std::string, float>> seen;
  p.tap([&](std::string_view name, const View& view) {
    EXPECT_EQ(view.rows, 2);
    EXPECT_EQ(view.cols, 5);
    seen.emplace_back(name, view.data[0]);
  });
  p.profile(true);
  const std::vector<int32_t> ids(2);
  p.run({.ids = ids});
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, float>>{{"one", 1}, {"blk.7.two", 2}, {"blk.8.two", 3}}));
  const auto profile = p.profile();
  ASSERT_EQ(profile.size(), 2u);
  EXPECT_EQ(profile[1].first, "two");
  EXPECT_GE(profile[1].second, 0);
}

TEST(Program, ACancelledPassEndsBehindTheStepInHandOnAllThreads) {
  Rig rig;
  Program& p = rig.program;
  Buffer* const x = p.buffer("x", 16);
  std::atomic<bool> cancel = false;
  std::atomic<int> ran = 0;
  constexpr int kSteps = 50;
  int stop_at = 0;
  for (int i = 0; i < kSteps; ++i) {
    p.add<Call>("step", std::vector<Buffer*>{x}, x, [&, i](const Worker& w, const StepIo&, std::atomic<int64_t>&) {
      ++ran;
      if (i == stop_at && w.index == i % w.count) cancel = true;  // not always the thread that looks
    });
  }
  ASSERT_TRUE(p.plan(4).ok());
  const std::vector<int32_t> ids(2);
  for (stop_at = 0; stop_at < kSteps - 2; ++stop_at) {
    for (const bool watched : {false, true}) {
      p.profile(watched);
      cancel = false;
      ran = 0;
      EXPECT_FALSE(p.run({.ids = ids, .cancel = &cancel}));
      EXPECT_GE(ran, 3 * (stop_at + 1));
      EXPECT_LE(ran, 3 * (stop_at + 2));
      EXPECT_EQ(ran % 3, 0);
    }
  }
  cancel = false;
  stop_at = kSteps;
  EXPECT_TRUE(p.run({.ids = ids, .cancel = &cancel}));
}

}  // namespace
}  // namespace miao::graph
