// A token shard: what is taken is written again and read to the same tokens and lines. Each input is tried as it is and
// with the checksums that it should have, for a wrong one hides all that comes after it.
#include "data/shards/shard.h"

#include <cstring>
#include <vector>

#include "data/shards/shard_rules.h"
#include "tests/fuzz/fuzz.h"

using namespace blalm;

namespace {

std::string sealed(std::string_view input) {
  std::string file(input);
  ShardHeader header;
  if (file.size() < sizeof header) return file;
  std::memcpy(&header, file.data(), sizeof header);
  const auto data = std::as_bytes(std::span(file)).subspan(sizeof header);
  if (header.table_bytes <= data.size())
    header.data_checksum = data_checksum(data.first(data.size() - header.table_bytes), data.last(header.table_bytes));
  header.header_checksum = header_checksum(header);
  std::memcpy(file.data(), &header, sizeof header);
  return file;
}

struct Content {
  std::vector<std::int32_t> tokens;
  std::vector<LineCounts> lines;

  bool operator==(const Content&) const = default;
};

Content content_of(const Shard& shard) {
  Content content;
  content.tokens.resize(static_cast<std::size_t>(shard.tokens()));
  shard.read(0, content.tokens);
  LineTableReader table = shard.line_table();
  for (LineCounts line; table.next(line) == LineTableReader::Step::line;) content.lines.push_back(line);
  return content;
}

void read_and_copy(std::string_view bytes) {
  const Shard shard(fuzz::file_of(bytes, "input.bin"));
  const Content content = content_of(shard);
  ShardWriter writer(fuzz::folder().path(), "copy", shard.tokenizer());
  std::span<const std::int32_t> rest = content.tokens;
  for (const LineCounts& line : content.lines) {
    writer.add(rest.first(static_cast<std::size_t>(line.tokens)), line.words, line.bytes);
    rest = rest.subspan(static_cast<std::size_t>(line.tokens));
  }
  fuzz::require(rest.empty(), "all tokens belong to lines");
  for (const ShardInfo& info : writer.finish())
    fuzz::require(content_of(Shard(fuzz::folder() / info.file)) == content, "a shard is read as it was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  fuzz::taken(input, [&] { read_and_copy(input); });
  fuzz::taken(input, [&] { read_and_copy(sealed(input)); });
  return 0;
}
