// The speed of decoding at several positions of a text, and how near it comes to what the memory allows.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/bench/measure.h"
#include "apps/bench/workload.h"
#include "models/decode.h"

namespace blalm::bench {

class DecodeBench {
 public:
  // Reads random text up to each of the positions, which rise, and keeps the states that it has there.
  DecodeBench(const Workload& workload, std::vector<std::int64_t> positions, std::int64_t tokens);

  // Decodes `tokens` tokens from each position in turn; warm_up() does the same for nothing.
  void measure();
  void warm_up();
  // After the measurements: how fast memory of the size of the weights is read, again and again, on all threads.
  void measure_bandwidth();

  std::string report() const;
  nlohmann::ordered_json json() const;

 private:
  struct Place {
    std::int64_t position;
    DecodeState state;
    std::vector<double> seconds{};  // a step of the whole batch, one number a measurement
  };
  double seconds_a_step(const Place& place);
  double tokens_per_second(double seconds_a_step) const;
  double limit() const;  // tokens a second, when a step takes as long as reading the weights

  Workload workload_;
  std::int64_t tokens_, parameters_ = 0, weight_bytes_ = 0, peak_rss_bytes_ = 0;
  std::unique_ptr<LanguageModel> model_;
  std::vector<Place> places_;
  double bandwidth_ = 0;  // bytes a second
};

// Bytes of weights that decoding one token reads: matrices in the dtype of the products, all else in f32. Of an
// embedding that is not the output head one row is read, which is left out.
std::int64_t weight_bytes(const LanguageModel& model);

// Bytes a second at which all threads together read `bytes` bytes, the fastest of `repeats` times after the first.
double read_bandwidth(std::int64_t bytes, std::int64_t repeats);

}  // namespace blalm::bench
