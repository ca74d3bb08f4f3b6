// TensorBoard event files, read back by the rules of TFRecord and protocol buffers.
#include "apps/train/event_file.h"

#include <cmath>
#include <cstring>
#include <map>

#include "tests/apps/train_support.h"

namespace blalm {
namespace {

template <class T>
T take(std::string_view& bytes) {
  REQUIRE(bytes.size() >= sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return value;
}

std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = take<std::uint8_t>(bytes);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return value;
  }
}

// A message: the fields by number, in their order; numbers as they are, the rest as bytes.
struct Message {
  std::multimap<int, std::uint64_t> integers;
  std::multimap<int, double> reals;
  std::multimap<int, std::string> bytes;

  explicit Message(std::string_view from) {
    while (!from.empty()) {
      const std::uint64_t key = take_varint(from);
      const int field = static_cast<int>(key >> 3);
      switch (key & 7) {
        case 0: integers.emplace(field, take_varint(from)); break;
        case 1: reals.emplace(field, take<double>(from)); break;
        case 5: reals.emplace(field, static_cast<double>(take<float>(from))); break;
        case 2: {
          const std::uint64_t size = take_varint(from);
          REQUIRE(size <= from.size());
          bytes.emplace(field, from.substr(0, size));
          from.remove_prefix(size);
          break;
        }
        default: FAIL("a wire type that does not exist");
      }
    }
  }
  const std::string& text(int field) const { return bytes.find(field)->second; }
  Message inner(int field) const { return Message(text(field)); }
  double real(int field) const { return reals.find(field)->second; }
};

std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

std::vector<Message> events_in(const std::filesystem::path& folder) {
  std::vector<Message> events;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with("events.out.tfevents.")) continue;
    const std::string content = read_text(entry.path());
    for (std::string_view rest = content; !rest.empty();) {
      const std::string_view length = rest.substr(0, 8);
      const auto size = take<std::uint64_t>(rest);
      CHECK(take<std::uint32_t>(rest) == masked_crc(length));
      REQUIRE(size <= rest.size());
      const std::string_view payload = rest.substr(0, size);
      rest.remove_prefix(size);
      CHECK(take<std::uint32_t>(rest) == masked_crc(payload));
      events.emplace_back(payload);
    }
  }
  return events;
}

// Tag → values of all its events that have a summary.
std::multimap<std::string, Message> summaries_in(const std::filesystem::path& folder) {
  std::multimap<std::string, Message> values;
  for (const Message& event : events_in(folder))
    if (event.bytes.contains(5)) {
      const Message value = event.inner(5).inner(1);
      values.emplace(value.text(1), value);
    }
  return values;
}

std::vector<double> doubles(const std::string& packed) {
  std::vector<double> values(packed.size() / sizeof(double));
  std::memcpy(values.data(), packed.data(), packed.size());
  return values;
}

}  // namespace

TEST_CASE("CRC-32C of known texts") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xE3069283U);            // the check value of the catalogue of CRCs
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAU);  // RFC 3720, B.4
}

TEST_CASE("scalars, histograms and texts come back") {
  const Folder folder;
  {
    EventFile file(folder.path, "test");
    file.scalar("loss", 7, 2.5);
    const std::vector<float> weights = {-1.0F, 0.0F, 0.5F, 2.0F, NAN};
    file.histogram("weights", 8, Tensor::from<float>({5}, weights));
    file.histogram("nothing", 8, Tensor::from<float>({1}, std::span(weights).last(1)));
    file.text("samples", 9, "Once upon a time\n");
    file.text("samples", 10, "caf\xC3\xA9\x80\xFF, cut \xE2\x82");
  }
  const std::vector<Message> events = events_in(folder.path);
  REQUIRE(events.size() == 5);
  CHECK(events[0].text(3) == "brain.Event:2");
  for (const Message& e : events) CHECK(e.real(1) > 1.6e9);  // wall time
  CHECK(events[1].integers.find(2)->second == 7);
  const Message scalar = events[1].inner(5).inner(1);
  CHECK(scalar.text(1) == "loss");
  CHECK(scalar.real(2) == 2.5);

  const Message histogram = events[2].inner(5).inner(1).inner(5);
  CHECK(histogram.real(1) == -1);
  CHECK(histogram.real(2) == 2);
  CHECK(histogram.real(3) == 4);
  CHECK(histogram.real(4) == 1.5);
  CHECK(histogram.real(5) == 5.25);
  const std::vector<double> limits = doubles(histogram.text(6)), buckets = doubles(histogram.text(7));
  REQUIRE(limits.size() == buckets.size());
  CHECK(limits.back() == 2);
  double sum = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    sum += buckets[i];
    if (i > 0) CHECK(limits[i] > limits[i - 1]);
  }
  CHECK(sum == 4);
  CHECK(buckets.front() == 1);

  const Message text = events[3].inner(5).inner(1);
  CHECK(text.inner(8).text(8) == "Once upon a time\n");
  CHECK(text.inner(9).inner(1).text(1) == "text");
  CHECK(events[4].inner(5).inner(1).inner(8).text(8) == "caf\xC3\xA9\xEF\xBF\xBD, cut \xEF\xBF\xBD");
}

TEST_CASE("a run writes what metrics.csv has, and histograms of every parameter; a resumed one says from where") {
  const Folder folder;
  const std::string settings = "--train.histogram_every 15 ";
  REQUIRE(run_blalm(train_arguments(folder, "a", settings)).exit_code == 0);
  const auto values = summaries_in(folder.path / "a");
  const auto rows = metrics_of(folder.path / "a");
  CHECK(values.count("loss/train") == 30);
  CHECK(values.count("optim/lr") == 30);
  CHECK(values.count("optim/grad_norm") == 30);
  CHECK(values.count("speed/tokens_per_second") == 30);
  CHECK(values.count("loss/valid") == 4);  // before the first step, too
  CHECK(values.count("loss/valid_bits_per_byte") == 4);
  CHECK(values.count("samples") > 0);
  CHECK(values.count("weights/model.embed_tokens.weight") == 2);
  CHECK(values.count("gradients/model.layers.1.mlp.down_proj.weight") == 2);
  std::size_t row = 2;  // after the header and step 0
  for (auto [at, end] = values.equal_range("loss/train"); at != end; ++at)
    CHECK(at->second.real(2) == doctest::Approx(std::stod(rows.at(row++).at(4))));

  // What is after the checkpoint in an earlier file no longer counts.
  REQUIRE(run_blalm(train_arguments(folder, "a", settings + "--resume auto")).exit_code == 0);
  int restarts = 0;
  for (const Message& e : events_in(folder.path / "a"))
    if (e.bytes.contains(7)) {
      ++restarts;
      CHECK(e.inner(7).integers.find(1)->second == 1);
      CHECK(e.integers.find(2)->second == 31);
    }
  CHECK(restarts == 1);
}

}  // namespace blalm
