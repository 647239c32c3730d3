// Small model files for tests: builders that write GGUF, safetensors and CTranslate2 byte by byte, well formed by
// default.
//
//   GgufBuilder().key("general.architecture", "llama").tensor("output.weight", {2, 3}, {1, 2, 3, 4, 5, 6}).write(path);
//   SafetensorsBuilder().tensor("lm_head.weight", {2, 3}, {1, 2, 3, 4, 5, 6}).write(path);
//   Ct2Builder().variable("encoder/conv1/bias", {2}, {1, 2}).alias("bias", "encoder/conv1/bias").write(path);
//
// Shapes are outermost first, as in TensorView. The public fields are what goes into the file: a test of a reader sets
// one of them to something a sound writer never writes.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"

namespace miao::io {

// A fresh directory that goes with the object.
class TempDir {
 public:
  TempDir() {
    std::random_device random;
    do {
      path_ = std::filesystem::temp_directory_path() / ("miao-test-" + std::to_string(random()));
    } while (!std::filesystem::create_directory(path_));
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// The little-endian bytes of a number.
template <class T>
std::string le_bytes(T value) {
  std::string out(sizeof(T), '\0');
  std::memcpy(out.data(), &value, sizeof(T));
  return out;
}

// Values as F32, F16 or BF16 bytes.
inline std::string pack_floats(DType dtype, std::span<const float> values) {
  std::string out;
  for (const float v : values) {
    if (dtype == DType::f16) {
      out += le_bytes(f32_to_f16(v));
    } else if (dtype == DType::bf16) {
      out += le_bytes(f32_to_bf16(v));
    } else {
      out += le_bytes(v);
    }
  }
  return out;
}

struct GgufBuilder {
  struct Key {
    std::string name;
    uint32_t type;
    std::string value;  // as in the file
    std::optional<uint64_t> name_bytes;
  };
  struct Tensor {
    std::string name;
    std::vector<uint64_t> ne;  // innermost first
    uint32_t type;
    std::string data;
    std::optional<uint64_t> name_bytes, offset;
    std::optional<uint32_t> dims;
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> key_count, tensor_count;
  uint64_t alignment = 32;  // of the layout; set_alignment() also writes the key
  std::vector<Key> keys;
  std::vector<Tensor> tensors;

  static std::string text(std::string_view s) { return le_bytes<uint64_t>(s.size()) + std::string(s); }

  template <class T>
  static constexpr uint32_t type_of() {
    if constexpr (std::is_same_v<T, uint8_t>) return 0;
    if constexpr (std::is_same_v<T, int8_t>) return 1;
    if constexpr (std::is_same_v<T, uint16_t>) return 2;
    if constexpr (std::is_same_v<T, int16_t>) return 3;
    if constexpr (std::is_same_v<T, uint32_t>) return 4;
    if constexpr (std::is_same_v<T, int32_t>) return 5;
    if constexpr (std::is_same_v<T, float>) return 6;
    if constexpr (std::is_same_v<T, bool>) return 7;
    if constexpr (std::is_same_v<T, uint64_t>) return 10;
    if constexpr (std::is_same_v<T, int64_t>) return 11;
    if constexpr (std::is_same_v<T, double>) return 12;
  }

  template <class T>
  requires std::is_arithmetic_v<T> GgufBuilder& key(std::string name, T value) {
    keys.push_back({std::move(name), type_of<T>(), le_bytes(value), {}});
    return *this;
  }
  GgufBuilder& key(std::string name, std::string_view value) {
    keys.push_back({std::move(name), 8, text(value), {}});
    return *this;
  }
  GgufBuilder& key(std::string name, const char* value) { return key(std::move(name), std::string_view(value)); }
  template <class T>
  GgufBuilder& array(std::string name, const std::vector<T>& values) {
    std::string bytes;
    for (const T value : values) bytes += le_bytes(value);
    keys.push_back({std::move(name), 9, le_bytes(type_of<T>()) + le_bytes<uint64_t>(values.size()) + bytes, {}});
    return *this;
  }
  GgufBuilder& array(std::string name, const std::vector<std::string>& values) {
    std::string bytes;
    for (const std::string& value : values) bytes += text(value);
    keys.push_back({std::move(name), 9, le_bytes<uint32_t>(8) + le_bytes<uint64_t>(values.size()) + bytes, {}});
    return *this;
  }
  GgufBuilder& set_alignment(uint32_t value) {
    alignment = value;
    return key("general.alignment", value);
  }

  // `data` holds the raw blocks.
  GgufBuilder& tensor(std::string name, DType dtype, const std::vector<int64_t>& shape, std::string data) {
    const std::vector<uint64_t> ne(shape.rbegin(), shape.rend());
    tensors.push_back({std::move(name), ne, static_cast<uint32_t>(format(dtype).gguf), std::move(data), {}, {}, {}});
    return *this;
  }
  GgufBuilder& tensor(std::string name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    return tensor(std::move(name), DType::f32, shape, pack_floats(DType::f32, values));
  }

  std::string bytes() const {
    auto pad = [this](std::string& s) { s.resize((s.size() + alignment - 1) / alignment * alignment); };
    std::string out = magic + le_bytes(version) + le_bytes<uint64_t>(tensor_count.value_or(tensors.size())) +
                      le_bytes<uint64_t>(key_count.value_or(keys.size()));
    for (const Key& k : keys) {
      out += le_bytes<uint64_t>(k.name_bytes.value_or(k.name.size())) + k.name + le_bytes(k.type) + k.value;
    }
    std::string data;
    for (const Tensor& t : tensors) {
      pad(data);
      out += le_bytes<uint64_t>(t.name_bytes.value_or(t.name.size())) + t.name;
      out += le_bytes(t.dims.value_or(static_cast<uint32_t>(t.ne.size())));
      for (const uint64_t ne : t.ne) out += le_bytes(ne);
      out += le_bytes(t.type) + le_bytes<uint64_t>(t.offset.value_or(data.size()));
      data += t.data;
    }
    if (!tensors.empty()) pad(out);
    return out + data;
  }
  Result<void> write(const std::filesystem::path& path) const { return write_file_atomic(path, bytes()); }
};

struct SafetensorsBuilder {
  struct Tensor {
    std::string name;
    std::string dtype;  // JSON
    std::string shape;  // JSON
    std::string data;
    std::optional<std::string> offsets;  // JSON
    std::optional<std::string> entry;    // JSON, in place of the whole description
  };

  std::string metadata;               // JSON of "__metadata__"; none when empty
  std::optional<std::string> header;  // in place of the JSON header
  std::optional<uint64_t> header_bytes;
  std::string tail;  // bytes after the last tensor
  std::vector<Tensor> tensors;

  SafetensorsBuilder& tensor(std::string name, std::string_view dtype, const std::vector<int64_t>& shape,
                             std::string data) {
    std::string dims;
    for (const int64_t d : shape) dims += (dims.empty() ? "" : ",") + std::to_string(d);
    tensors.push_back({std::move(name), '"' + std::string(dtype) + '"', '[' + dims + ']', std::move(data), {}, {}});
    return *this;
  }
  SafetensorsBuilder& tensor(std::string name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    return tensor(std::move(name), "F32", shape, pack_floats(DType::f32, values));
  }

  // Names are written between quotes as they are.
  std::string json() const {
    std::string out = metadata.empty() ? "" : "\"__metadata__\":" + metadata;
    uint64_t offset = 0;
    for (const Tensor& t : tensors) {
      const std::string range = '[' + std::to_string(offset) + ',' + std::to_string(offset + t.data.size()) + ']';
      const std::string entry =
          "{\"dtype\":" + t.dtype + ",\"shape\":" + t.shape + ",\"data_offsets\":" + t.offsets.value_or(range) + '}';
      out += (out.empty() ? "\"" : ",\"") + t.name + "\":" + t.entry.value_or(entry);
      offset += t.data.size();
    }
    out = '{' + out + '}';
    out.resize((out.size() + 7) / 8 * 8, ' ');
    return out;
  }
  std::string bytes() const {
    const std::string text = header.value_or(json());
    std::string out = le_bytes<uint64_t>(header_bytes.value_or(text.size())) + text;
    for (const Tensor& t : tensors) out += t.data;
    return out + tail;
  }
  Result<void> write(const std::filesystem::path& path) const { return write_file_atomic(path, bytes()); }
};

struct Ct2Builder {
  struct Variable {
    std::string name;  // with its NUL
    std::vector<uint32_t> dims;
    uint8_t type;
    std::string data;
    std::optional<uint16_t> name_bytes;
    std::optional<uint8_t> rank;
    std::optional<uint32_t> bytes;
  };

  uint32_t version = 6, revision = 3;
  std::string spec = nul("WhisperSpec");
  std::optional<uint16_t> spec_bytes;
  std::optional<uint32_t> variable_count, alias_count;
  std::vector<Variable> variables;
  std::vector<std::pair<std::string, std::string>> aliases;  // with their NULs
  std::string tail;

  static std::string nul(std::string_view text) { return std::string(text) + '\0'; }
  static std::string text(std::string_view s) { return le_bytes(static_cast<uint16_t>(s.size())) + std::string(s); }

  Ct2Builder& variable(std::string_view name, std::vector<uint32_t> dims, uint8_t type, std::string data) {
    variables.push_back({nul(name), std::move(dims), type, std::move(data), {}, {}, {}});
    return *this;
  }
  Ct2Builder& variable(std::string_view name, std::vector<uint32_t> dims, const std::vector<float>& values) {
    return variable(name, std::move(dims), 0, pack_floats(DType::f32, values));
  }
  Ct2Builder& alias(std::string_view name, std::string_view of) {
    aliases.emplace_back(nul(name), nul(of));
    return *this;
  }

  std::string bytes() const {
    std::string out = le_bytes(version) + le_bytes(spec_bytes.value_or(static_cast<uint16_t>(spec.size()))) + spec +
                      le_bytes(revision) + le_bytes(variable_count.value_or(static_cast<uint32_t>(variables.size())));
    for (const Variable& v : variables) {
      out += le_bytes(v.name_bytes.value_or(static_cast<uint16_t>(v.name.size()))) + v.name;
      out += le_bytes(v.rank.value_or(static_cast<uint8_t>(v.dims.size())));
      for (const uint32_t dim : v.dims) out += le_bytes(dim);
      out += le_bytes(v.type) + le_bytes(v.bytes.value_or(static_cast<uint32_t>(v.data.size()))) + v.data;
    }
    out += le_bytes(alias_count.value_or(static_cast<uint32_t>(aliases.size())));
    for (const auto& [name, of] : aliases) out += text(name) + text(of);
    return out + tail;
  }
  Result<void> write(const std::filesystem::path& path) const { return write_file_atomic(path, bytes()); }
};

}  // namespace miao::io
