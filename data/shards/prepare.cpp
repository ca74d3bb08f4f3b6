#include "data/shards/prepare.h"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <optional>
#include <system_error>

#include "data/shards/data_folder.h"
#include "data/text/line_chunk.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kGroupBytes = std::size_t{16} << 10;  // of text, encoded by one thread in one go
constexpr double kCostPerByte = 50;

// Neighbouring lines of a chunk and their tokens, separators included.
struct Group {
  std::size_t begin, end;  // lines
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> ends;  // in ids, of each line
};

bool is_left_out(const LineChunk::Line& line, Separator separator) {
  return line.words == 0 && separator != Separator::none;
}

std::vector<Group> group_lines(const LineChunk& chunk) {
  std::vector<Group> groups;
  for (std::size_t begin = 0, end = 0; begin < chunk.lines.size(); begin = end) {
    for (std::size_t size = 0; end < chunk.lines.size() && size < kGroupBytes; ++end) size += chunk.lines[end].size;
    groups.push_back({begin, end, {}, {}});
  }
  return groups;
}

void encode(Group& group, const LineChunk& chunk, const TextEncoder& encoder, Separator separator) {
  std::string with_line_end;
  for (std::size_t i = group.begin; i < group.end; ++i) {
    const LineChunk::Line& line = chunk.lines[i];
    if (!is_left_out(line, separator)) {
      std::string_view text = chunk.text_of(line);
      if (separator == Separator::none) text = with_line_end.assign(text).append("\n");
      if (has_bos(separator)) group.ids.push_back(encoder.bos);
      const std::vector<std::int32_t> ids = encoder.encode(text);
      group.ids.insert(group.ids.end(), ids.begin(), ids.end());
      if (has_eos(separator)) group.ids.push_back(encoder.eos);
    }
    group.ends.push_back(group.ids.size());
  }
}

void check_separators(const TextEncoder& encoder, Separator separator) {
  const auto check = [&](bool wanted, std::int32_t id, std::string_view name) {
    if (wanted && (id < 0 || id >= encoder.id.vocab_size))
      throw ConfigError(expected_got("data.separator", fmt::format("a tokenizer with a token for data.{}", name),
                                     "one without", "name its token there, or choose another separator"));
  };
  check(has_bos(separator), encoder.bos, "bos");
  check(has_eos(separator), encoder.eos, "eos");
}

// There is a report for each source of the plan.
void check_words(const std::vector<SourcePlan>& plan, const PreparedData& data) {
  std::vector<FileLines> train, valid;
  bool held_out = false;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const SourceReport& s = data.sources[i];
    (plan[i].part == Part::train ? train : valid).push_back({s.path, s.train.lines + s.valid.lines});
    held_out |= !plan[i].held_out.blocks.empty();
  }
  if (data.train.words() == 0)
    throw DataError(
        expected_got("data.train", "text to train on",
                     held_out && data.valid.words() > 0 ? "no words but those held out" : no_words_in(train)));
  if (data.valid.words() > 0) return;
  if (!valid.empty()) throw DataError(expected_got("data.valid", "validation text", no_words_in(valid)));
  if (held_out) throw DataError(expected_got("data.valid_share", "text in the lines held out", "no words"));
}

// A file of someone else in the place of a shard or of data.json stays.
void require_replaceable(const fs::path& folder, const PreparedData& data) {
  std::error_code ignored;
  for (const PreparedPart* part : {&data.train, &data.valid})
    for (const ShardInfo& shard : part->shards)
      if (fs::exists(fs::symlink_status(folder / shard.file, ignored)) && !is_shard_file(folder / shard.file))
        throw DataError(expected_got("data", fmt::format("no file '{}' but a shard", (folder / shard.file).string()),
                                     "another", "move it, or name another folder"));
}

[[noreturn]] void refuse(const fs::path& folder) {
  throw DataError(expected_got("data", fmt::format("'{}' new, or with the same data in it", folder.string()),
                               "other prepared data", "name another folder, or replace it with --replace"));
}

bool has_same_settings(const PreparedData& there, const PrepareOptions& options) {
  return there.separator == options.separator && there.settings == options.settings;
}

// The earlier data.json waits beside the shards until there is a new one: after a kill it still tells whose they were.
void put_in_place(const fs::path& staging, const OwnedFolder& owned, const PreparedData& data,
                  const PrepareOptions& options) {
  const fs::path& folder = owned.path();
  require_replaceable(folder, data);
  if (!options.replace && is_prepared(folder)) {
    const PreparedData there = read_prepared(folder);
    if (!has_same_settings(there, options) || !have_same_tokens(there, data)) refuse(folder);
    return;
  }
  const std::optional<PreparedData> earlier = earlier_data(folder);
  std::error_code error;
  if (is_prepared(folder)) fs::rename(folder / "data.json", staging / "data.json", error);
  // Writing to a link would write to where it leads.
  std::error_code ignored;
  if (const fs::path beside = folder / "tokenizer.json"; !error && fs::is_symlink(fs::symlink_status(beside, ignored)))
    fs::remove(beside, error);
  for (const PreparedPart* part : {&data.train, &data.valid})
    for (const ShardInfo& shard : part->shards)
      if (!error) fs::rename(staging / shard.file, folder / shard.file, error);
  if (error) owned.cannot_write(error);
  if (options.write_beside) options.write_beside(folder);
  write_prepared(folder, data);
  if (earlier) remove_old_shards(folder, *earlier, data);
}

}  // namespace

double PrepareReport::tokens_per_word(const PreparedPart& part) {
  return part.words() == 0 ? 0 : static_cast<double>(part.tokens()) / static_cast<double>(part.words());
}

double PrepareReport::bytes_per_token(const PreparedPart& part) {
  return part.tokens() == 0 ? 0 : static_cast<double>(part.bytes()) / static_cast<double>(part.tokens());
}

PrepareReport prepare(const std::vector<SourcePlan>& plan, const TextEncoder& encoder, const fs::path& folder,
                      const PrepareOptions& options) {
  OwnedFolder owned(folder, "write");
  PrepareReport report = prepare(plan, encoder, owned, options);
  owned.keep();
  return report;
}

PrepareReport prepare(const std::vector<SourcePlan>& plan, const TextEncoder& encoder, const OwnedFolder& folder,
                      const PrepareOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  check_separators(encoder, options.separator);
  require_data_folder(folder.path());
  const Staging staging(folder);
  ShardWriter train(staging.path(), "train", encoder.id, options.shard_tokens);
  ShardWriter valid(staging.path(), "valid", encoder.id, options.shard_tokens);
  PrepareReport report;
  PreparedData& data = report.data;
  PrepareProgress done;

  CorpusReader reader(plan, options.text);
  LineChunk chunk = read_chunk(reader);
  while (!chunk.lines.empty()) {
    // Reading goes on while this chunk is encoded; the future waits for it even when encoding throws.
    std::future<LineChunk> following = std::async(std::launch::async, [&reader] { return read_chunk(reader); });
    std::vector<Group> groups = group_lines(chunk);
    parallel_for(static_cast<std::int64_t>(groups.size()), kCostPerByte * static_cast<double>(kGroupBytes),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t g = begin; g < end; ++g)
                     encode(groups[static_cast<std::size_t>(g)], chunk, encoder, options.separator);
                 });
    for (const Group& group : groups) {
      std::size_t begin = 0;
      for (std::size_t i = group.begin; i < group.end; ++i) {
        const LineChunk::Line& line = chunk.lines[i];
        const std::size_t end = group.ends[i - group.begin];
        if (is_left_out(line, options.separator)) {
          data.part(line.part).blank_lines += 1;
        } else {
          (line.part == Part::train ? train : valid)
              .add(std::span(group.ids).subspan(begin, end - begin), line.words, line.bytes);
        }
        done.words += line.words;
        done.bytes += line.bytes;
        begin = end;
      }
      done.tokens += static_cast<std::int64_t>(group.ids.size());
    }
    done.lines += static_cast<std::int64_t>(chunk.lines.size());
    if (options.progress) options.progress(done);
    chunk = following.get();
  }

  data.tokenizer = encoder.id;
  data.separator = options.separator;
  data.settings = options.settings;
  data.train.shards = train.finish();
  data.valid.shards = valid.finish();
  data.sources = reader.reports();
  check_words(plan, data);
  put_in_place(staging.path(), folder, data, options);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return report;
}

void refuse_other_data(const fs::path& folder, const PrepareOptions& options) {
  if (!options.replace && is_prepared(folder) && !has_same_settings(read_prepared(folder), options)) refuse(folder);
}

void read_training_text(const std::vector<SourcePlan>& plan, const TextOptions& text, Separator separator,
                        const std::function<void(std::span<const std::string_view>)>& visit) {
  CorpusReader reader(plan, text);
  std::vector<std::string_view> lines;
  for (LineChunk chunk = read_chunk(reader); !chunk.lines.empty(); chunk = read_chunk(reader)) {
    std::string with_line_ends;
    if (separator == Separator::none) with_line_ends.reserve(chunk.text.size() + chunk.lines.size());
    lines.clear();
    for (const LineChunk::Line& line : chunk.lines) {
      if (line.part != Part::train) continue;
      std::string_view one = chunk.text_of(line);
      if (separator == Separator::none) {
        // Reserved, so what lies there already stays where it is.
        const std::size_t begin = with_line_ends.size();
        with_line_ends.append(one).push_back('\n');
        one = std::string_view(with_line_ends).substr(begin);
      }
      lines.push_back(one);
    }
    visit(lines);
  }
}

}  // namespace blalm
