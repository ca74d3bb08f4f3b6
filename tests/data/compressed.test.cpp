// Compressed text as the tools of each format write it: whatever they read is read here, and "damaged" is said only of
// what is.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <lzma.h>
#include <sys/resource.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <utility>

#include "engine/core/error.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

std::string gzip_of(std::string_view text, gz_header* header = nullptr) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  if (header != nullptr) REQUIRE(deflateSetHeader(&stream, header) == Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// With a name, a comment, an extra field as bgzip has it, and a checksum of the header.
std::string gzip_with_all_fields(std::string_view text) {
  gz_header header{};
  std::string name = "a name.txt", comment = "a comment", extra("BC\2\0\xFF\xFF", 6);
  header.name = reinterpret_cast<Bytef*>(name.data());
  header.comment = reinterpret_cast<Bytef*>(comment.data());
  header.extra = reinterpret_cast<Bytef*>(extra.data());
  header.extra_len = static_cast<uInt>(extra.size());
  header.hcrc = 1;
  header.time = 1;
  return gzip_of(text, &header);
}

// `pieces`: a block each.
std::string xz_of(const std::vector<std::string>& pieces, lzma_check check = LZMA_CHECK_CRC64) {
  lzma_stream stream = LZMA_STREAM_INIT;
  REQUIRE(lzma_easy_encoder(&stream, 6, check) == LZMA_OK);
  std::string out;
  const auto run = [&](std::string_view text, lzma_action action) {
    stream.next_in = reinterpret_cast<const std::uint8_t*>(text.data());
    stream.avail_in = text.size();
    lzma_ret result;
    do {
      char buffer[4096];
      stream.next_out = reinterpret_cast<std::uint8_t*>(buffer);
      stream.avail_out = sizeof(buffer);
      result = lzma_code(&stream, action);
      out.append(buffer, sizeof(buffer) - stream.avail_out);
    } while (result == LZMA_OK);
    REQUIRE(result == LZMA_STREAM_END);
  };
  for (const std::string& piece : pieces) run(piece, LZMA_FULL_FLUSH);
  run("", LZMA_FINISH);
  lzma_end(&stream);
  return out;
}

// An xz stream whose block asks for another window, by the code of the format for it: 40 is 4 GiB, 37 is 1.5 GiB.
std::string xz_with_window(std::string_view text, char code) {
  std::string xz = xz_of({std::string(text)});
  char* block = xz.data() + LZMA_STREAM_HEADER_SIZE;  // size, flags, filter, size of its properties, the window, zeros
  REQUIRE(std::string_view(block, 4) == "\x02\0\x21\x01"sv);
  block[4] = code;
  const std::uint32_t crc = lzma_crc32(reinterpret_cast<std::uint8_t*>(block), 8, 0);
  for (int i = 0; i < 4; ++i) block[8 + i] = static_cast<char>(crc >> (8 * i));
  return xz;
}

std::string zstd_of(std::string_view text, bool size = true, bool checksum = true) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, size ? 1 : 0);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, checksum ? 1 : 0);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const std::size_t written = ZSTD_compress2(context.get(), out.data(), out.size(), text.data(), text.size());
  REQUIRE_FALSE(ZSTD_isError(written));
  out.resize(written);
  return out;
}

std::string little_endian(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

// A frame by hand: its text as it is, in one block. `log`: of its window, as `zstd --long=LOG` writes it.
std::string zstd_with_window(std::string_view text, int log) {
  return "\x28\xB5\x2F\xFD\0"s + static_cast<char>((log - 10) << 3) +
         little_endian(static_cast<std::uint32_t>(text.size()) << 3 | 1, 3) + std::string(text);
}

std::string skippable_frame(char number, std::string_view content) {
  return std::string{static_cast<char>(0x50 + number)} + "\x2A\x4D\x18" +
         little_endian(static_cast<std::uint32_t>(content.size()), 4) + std::string(content);
}

std::string text_of(const std::filesystem::path& path) {
  std::string text;
  for (const std::string& line : read_lines(path).lines) text += line + "\n";
  return text;
}

struct Case {
  const char* what;
  const char* file;
  std::string content;
};

}  // namespace

TEST_CASE("compressed files are read as the tools of their format write them") {
  TempFolder folder;
  const std::string one = "one two\n", two = "three four\n", all = one + two;
  const std::string nothing, zeros(3000, '\0'), gz = gzip_of(one), xz = xz_of({one}), zst = zstd_of(one);
  const std::vector<Case> cases = {
      {"several members", "gz", gz + gzip_of(two)},
      {"empty members, as bgzip ends", "gz", gzip_of("") + gz + gzip_of("") + gzip_of(two) + gzip_of("")},
      {"all fields of the header", "gz", gzip_with_all_fields(one) + gzip_with_all_fields(two)},
      {"zero padding", "gz", gzip_of(all) + zeros},
      {"much of it", "gz", gzip_of(all) + std::string(700'000, '\0')},
      {"one byte of it", "gz", gzip_of(all) + zeros[0]},
      {"padding between members", "gz", gz + zeros + gzip_of(two)},
      {"several streams", "xz", xz + xz_of({two})},
      {"several blocks", "xz", xz_of({one, two})},
      {"stream padding", "xz", xz + zeros + xz_of({two}) + zeros.substr(0, 4)},
      {"much of it", "xz", xz_of({all}) + std::string(700'000, '\0')},
      {"empty streams", "xz", xz_of({}) + xz + xz_of({}) + xz_of({two}) + xz_of({})},
      {"no check", "xz", xz_of({all}, LZMA_CHECK_NONE)},
      {"CRC-32", "xz", xz_of({all}, LZMA_CHECK_CRC32)},
      {"SHA-256", "xz", xz_of({all}, LZMA_CHECK_SHA256)},
      {"a window of 1.5 GiB", "xz", xz_with_window(all, 37)},
      {"several frames", "zst", zst + zstd_of(two)},
      {"a skippable frame first, as pzstd writes", "zst", skippable_frame(0, "\1\2\3\4") + zst + zstd_of(two)},
      {"skippable frames of all kinds anywhere", "zst",
       skippable_frame(1, "") + skippable_frame(15, zeros) + zst + skippable_frame(7, "x") + zstd_of(two) +
           skippable_frame(14, "seek table")},
      {"empty frames", "zst", zstd_of("") + zst + zstd_of("") + zstd_of(two) + zstd_of("")},
      {"without its size", "zst", zstd_of(all, false)},
      {"without checksum", "zst", zstd_of(all, true, false)},
      {"without both", "zst", zstd_of(one, false, false) + zstd_of(two, false, false)},
      {"--long=27", "zst", zstd_with_window(all, 27)},
      {"--long=28", "zst", zstd_with_window(all, 28)},
      {"--long=31", "zst", zstd_with_window(one, 31) + zstd_with_window(two, 31)},
      {"xz under another name", "gz", xz_of({all})},
      {"gzip under another name", "xz", gzip_of(all)},
      {"Zstandard under another name", "xz", zstd_of(all)},
  };
  for (const Case& c : cases) {
    CAPTURE(c.file);
    CAPTURE(c.what);
    const std::filesystem::path path = folder / fmt::format("text.txt.{}", c.file);
    write_anew(path, c.content);
    CHECK(message_of<DataError>([&] { CHECK(text_of(path) == all); }) == "nothing was thrown");
  }
  for (const auto& [name, content] : std::vector<std::pair<const char*, std::string>>{
           {"e.gz", gzip_of("")}, {"e.xz", xz_of({})}, {"e.zst", zstd_of("")}, {"s.zst", skippable_frame(3, "x")}}) {
    const std::filesystem::path file = folder / name;
    write_anew(file, content);
    CHECK_MESSAGE(text_of(file).empty(), file.string());
  }
}

TEST_CASE("what is wrong with a compressed file is said as it is") {
  TempFolder folder;
  const std::string text = golden_lines(), gz = gzip_of(text), xz = xz_of({text}), zst = zstd_of(text);
  const auto flipped = [](std::string bytes, std::size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    return bytes;
  };
  struct Wrong {
    const char* file;
    std::string content, got;
  };
  const std::vector<Wrong> cases = {
      {"gz", gz.substr(0, gz.size() - 3), "got a file that ends too early"},
      {"xz", xz.substr(0, xz.size() - 3), "got a file that ends too early"},
      {"zst", zst.substr(0, zst.size() - 3), "got a file that ends too early"},
      {"zst", skippable_frame(0, "1234").substr(0, 10), "got a file that ends too early"},
      {"gz", gz + gz.substr(0, 8), "got a file that ends too early"},
      {"gz", flipped(gz, gz.size() / 2), "got damaged data"},
      {"gz", flipped(gz, gz.size() - 6), "got damaged data (incorrect data check)"},
      {"xz", flipped(xz, xz.size() / 2), "got damaged data"},
      {"zst", flipped(zst, zst.size() / 2), "got damaged data"},
      {"zst", flipped(zst, zst.size() - 2), "got damaged data"},
      // Frames that declare 3 bytes and hold none, or 2, before an empty block, which the library alone lets pass where
      // it has not got the whole frame at once.
      {"zst", "\x28\xB5\x2F\xFD\x20\x03\1\0\0"s, "got damaged data (0 bytes of text where it declares 3)"},
      {"zst", zst + "\x28\xB5\x2F\xFD\x20\x03\x10\0\0a\n\1\0\0"s + zst,
       "got damaged data (2 bytes of text where it declares 3)"},
      {"gz", gz + "x", "got other bytes after its data"},
      {"xz", xz + "x", "got other bytes after its data"},
      {"zst", zst + "x", "got other bytes after its data"},
      {"gz", gz + std::string(5, '\0') + "more", "got other bytes after its data"},
      {"xz", xz + std::string(4, '\0') + "more", "got other bytes after its data"},
      {"zst", zst + std::string(4, '\0'), "got other bytes after its data"},
      {"xz", xz + std::string(5, '\0'), "got 5 zero bytes after its data (padding comes in 4 bytes)"},
      {"xz", xz_with_window("a\n", 40),
       "got one with a window of 4096 MiB, more than the 2048 MiB that are read here (deco"},
      {"zst", zstd_with_window("a\n", 32),
       "got one with a window of more than the 2048 MiB that are read here (decompress"},
      {"zst", "\x28\xB5\x2F\xFD\x21\x05\2\x11\0\0a\n"s,
       "got one that was compressed with a dictionary (decompress it be"},
      {"zst", "\x27\xB5\x2F\xFD old"s, "got that of a version before 0.8 (decompress it before)"},
      {"bz2", "BZh91AY&SY", "got a bzip2 file (unpack it before)"},
      {"lzma", "\x5D\0\0\x80\0\xFF"s, "got an LZMA file of the time before xz (unpack it before)"},
  };
  for (const Wrong& c : cases) {
    const std::filesystem::path path = folder / fmt::format("text.txt.{}", c.file);
    write_anew(path, c.content);
    const std::string message = message_of<DataError>([&] { read_lines(path); });
    CHECK_MESSAGE(has(message, c.got), message);
    CHECK(has(message, path.string()));
  }
}

TEST_CASE("reading a file that holds a thousand times its size can be watched and stopped") {
  TempFolder folder;
  const std::string text(8 << 20, '\n');
  for (const auto& [name, content] : std::vector<std::pair<const char*, std::string>>{
           {"a.txt.gz", gzip_of(text)}, {"a.txt.xz", xz_of({text})}, {"a.txt.zst", zstd_of(text)}}) {
    const std::filesystem::path file = folder / name;
    write_anew(file, content);
    std::int64_t calls = 0, text_bytes = 0, file_bytes = 0;
    TextOptions options;
    options.pulse = [&](const ReadProgress& read) {
      CHECK(read.file == file);
      CHECK(read.text_bytes >= text_bytes);
      text_bytes = read.text_bytes;
      file_bytes = read.file_bytes;
      ++calls;
    };
    TextSource source(folder / name, options);
    for (TextLine line; source.next(line);) continue;
    CHECK(source.stats().lines == std::ssize(text));
    CHECK(text_bytes == std::ssize(text));
    CHECK(file_bytes == std::ssize(content));
    CHECK(text_bytes > 500 * file_bytes);
    CHECK(calls >= 16);
    struct Stop {};
    CorpusOptions corpus;
    corpus.valid_share = 0.1;
    corpus.text.pulse = [&](const ReadProgress& read) {
      if (read.text_bytes > 1 << 20) throw Stop();
    };
    CHECK_THROWS_AS(plan_corpus({{folder / name, kAllWords}}, {}, corpus), Stop);
  }
}

TEST_SUITE("slow") {
  TEST_CASE("the memory that planning takes does not grow with the lines of a file") {
    TempFolder folder;
    const std::string word = "a\n";
    std::string content = gzip_of(word);
    const std::string lines = gzip_of(std::string(8 << 20, '\n'));
    for (int i = 0; i < 8; ++i) content += lines;
    write_plainly(folder / "a.txt.gz", content);
    const auto peak = [] {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      return usage.ru_maxrss;  // KiB
    };
    CorpusOptions options;
    options.valid_share = 0.01;
    options.words = 1;
    const auto before = peak();
    plan_corpus({{folder / "a.txt.gz", kAllWords}}, {}, options);
    CHECK(peak() - before < 32 << 10);  // a byte a line would be 64 MiB
  }
}
