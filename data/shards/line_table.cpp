#include "data/shards/line_table.h"

#include "data/shards/varint.h"

namespace blalm {

void LineTable::add(const LineCounts& line) {
  for (const std::int64_t count : {line.tokens, line.words, line.bytes})
    put_varint(static_cast<std::uint64_t>(count), encoded_);
  lines_ += 1;
  total_.tokens += line.tokens;
  total_.words += line.words;
  total_.bytes += line.bytes;
}

void LineTable::clear() {
  encoded_.clear();
  lines_ = 0;
  total_ = {};
}

LineTableReader::Step LineTableReader::next(LineCounts& line) {
  if (rest_.empty()) return Step::end;
  for (std::int64_t* count : {&line.tokens, &line.words, &line.bytes}) {
    const auto value = take_varint(rest_);
    if (!value || *value > kMaxLineCount) return Step::damaged;
    *count = *value;
  }
  return Step::line;
}

LineCounts part_of(const LineCounts& line, std::int64_t tokens) {
  if (tokens >= line.tokens) return line;
  return {tokens, line.words * tokens / line.tokens, line.bytes * tokens / line.tokens};
}

}  // namespace blalm
