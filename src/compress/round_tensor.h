// A whole tensor in another type, each matrix of it with its own importance where that is known.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <span>

#include "base/result.h"
#include "compress/importance.h"
#include "compress/rounding.h"
#include "io/checkpoint.h"
#include "tensor/tensor.h"

namespace miao::compress {

struct RoundOptions {
  const Importance* importance = nullptr;  // tensors that it lacks go without
  Rounding otherwise = Rounding::least_squares;
  const std::atomic<bool>* cancel = nullptr;
};

// `sink` gets the bytes of some rows after the other, with what they were: (first row, values, bytes). Errors: those of
// encode_matrix, with the tensor's name; of the sink.
using RoundSink =
    std::function<Result<void>(int64_t row, std::span<const float> values, std::span<const std::byte> bytes)>;
Result<void> round_tensor(const TensorView& source, DType to, const RoundOptions& options, ThreadPool& pool,
                          const RoundSink& sink);

// Whether all values are numbers. Errors: invalid, with the tensor, the row and the place in it; cancelled.
Result<void> check_numbers(const TensorView& tensor, ThreadPool& pool, const std::atomic<bool>* cancel);
Result<void> check_numbers(const io::Checkpoint& model, ThreadPool& pool, const std::atomic<bool>* cancel);

}  // namespace miao::compress
