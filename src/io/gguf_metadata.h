// GgufMetadata: the key/values of a GGUF file that is to be written, in their order and with the exact types that the
// file has (docs/formats/gguf.md).
//
//   GgufMetadata keys = GgufMetadata::of(checkpoint);     // of a GGUF file: value for value the bytes that are there
//   keys.set("general.file_type", uint32_t{7});           // the C++ type is the type in the file
//   keys.reserve("miao.canary.logits", std::string(64, '0'));
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace miao::io {

class Checkpoint;

enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64, count };

// A key/value where it stands in a file: `value` are the bytes behind the type.
struct GgufKey {
  std::string_view key;
  GgufType type;
  std::span<const std::byte> value;
};

template <class T>
concept GgufNumber = std::same_as<T, uint8_t> || std::same_as<T, int8_t> || std::same_as<T, uint16_t> ||
    std::same_as<T, int16_t> || std::same_as<T, uint32_t> || std::same_as<T, int32_t> || std::same_as<T, float> ||
    std::same_as<T, bool> || std::same_as<T, uint64_t> || std::same_as<T, int64_t> || std::same_as<T, double>;

// One value as the bytes of a file.
class GgufValue {
 public:
  template <GgufNumber T>
  GgufValue(T value) : type_(type_of<T>()), bytes_(number(value)) {}
  GgufValue(std::string_view text) : type_(GgufType::string), bytes_(string(text)) {}
  GgufValue(const std::string& text) : GgufValue(std::string_view(text)) {}
  GgufValue(const char* text) : GgufValue(std::string_view(text)) {}
  template <GgufNumber T>
  GgufValue(const std::vector<T>& values) : type_(GgufType::array), bytes_(array_head(type_of<T>(), values.size())) {
    for (const T value : values) bytes_ += number(value);
  }
  GgufValue(const std::vector<std::string>& values);
  GgufValue(GgufType type, std::string bytes) : type_(type), bytes_(std::move(bytes)) {}  // as a file has them

  GgufType type() const { return type_; }
  const std::string& bytes() const { return bytes_; }
  bool operator==(const GgufValue&) const = default;

 private:
  static_assert(std::endian::native == std::endian::little, "numbers in model files are little endian");
  template <GgufNumber T>
  static constexpr GgufType type_of() {
    if constexpr (std::same_as<T, uint8_t>) return GgufType::u8;
    if constexpr (std::same_as<T, int8_t>) return GgufType::i8;
    if constexpr (std::same_as<T, uint16_t>) return GgufType::u16;
    if constexpr (std::same_as<T, int16_t>) return GgufType::i16;
    if constexpr (std::same_as<T, uint32_t>) return GgufType::u32;
    if constexpr (std::same_as<T, int32_t>) return GgufType::i32;
    if constexpr (std::same_as<T, float>) return GgufType::f32;
    if constexpr (std::same_as<T, bool>) return GgufType::boolean;
    if constexpr (std::same_as<T, uint64_t>) return GgufType::u64;
    if constexpr (std::same_as<T, int64_t>) return GgufType::i64;
    if constexpr (std::same_as<T, double>) return GgufType::f64;
  }
  template <class T>
  static std::string number(T value) {
    std::string out(sizeof(T), '\0');
    std::memcpy(out.data(), &value, sizeof(T));
    return out;
  }
  static std::string string(std::string_view text) { return number<uint64_t>(text.size()).append(text); }
  static std::string array_head(GgufType type, size_t count) {
    return number(static_cast<uint32_t>(type)) + number<uint64_t>(count);
  }

  GgufType type_;
  std::string bytes_;
};

class GgufMetadata {
 public:
  struct Entry {
    std::string key;
    GgufValue value;
    bool reserved = false;
  };

  // Those of a GGUF file (of a split set: of its first part), without what is true of that file alone: its place in a
  // split set, and the checksums and the canary that miao writes.
  static GgufMetadata of(const Checkpoint& gguf);

  // Replaces the value where the key is there, else appends it.
  void set(std::string_view key, GgufValue value) { put(key, std::move(value), false); }
  // The same for a value that is known only behind the data: GgufWriter::patch() puts another one of this type and size
  // in its place.
  void reserve(std::string_view key, GgufValue placeholder) { put(key, std::move(placeholder), true); }
  bool erase(std::string_view key);  // false: it was not there
  const GgufValue* find(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void put(std::string_view key, GgufValue value, bool reserved);

  std::vector<Entry> entries_;
};

}  // namespace miao::io
