#include "data/text/line_chunk.h"

namespace blalm {

LineChunk read_chunk(CorpusReader& reader) {
  LineChunk chunk;
  CorpusLine line;
  // Counted with the bytes that a line takes up here, so that empty lines fill a chunk as well.
  while (chunk.text.size() + chunk.lines.size() * sizeof(LineChunk::Line) < kChunkBytes && reader.next(line)) {
    chunk.lines.push_back({line.part, chunk.text.size(), line.line.text.size(), line.line.words, line.line.bytes});
    chunk.text += line.line.text;
  }
  return chunk;
}

}  // namespace blalm
