// Settings that follow the text, what validations may cost, and how long a run still takes.
#include "apps/train/automatic.h"

#include <doctest/doctest.h>

#include <cmath>

#include "apps/train/remaining_time.h"
#include "apps/train/validation_plan.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

RunConfig chosen_for(std::int64_t tokens, const std::vector<Setting>& settings = {}) {
  RunConfig config;
  config.configure(settings);
  choose_for_text(config, tokens);
  return config;
}

Setting flag(const std::string& path, const std::string& value) { return {path, value, "--" + path}; }

}  // namespace

TEST_CASE("batch, passes, optimiser and rate follow the size of the text") {
  struct Row {
    std::int64_t tokens, batch, epochs;
  };
  for (const Row& row : {Row{20'000, 4, 10}, Row{350'000, 4, 3}, Row{740'000, 8, 3}, Row{2'600'000, 32, 4},
                         Row{13'000'000, 64, 2}, Row{130'000'000, 64, 1}}) {
    RunConfig config = chosen_for(row.tokens);
    const Fields fields = config.fields();
    CAPTURE(row.tokens);
    CHECK(config.train.batch == row.batch);
    CHECK(config.train.epochs == row.epochs);
    CHECK(config.optim.optimizer == OptimizerKind::muon);
    CHECK(config.optim.lr == 3e-3);
    CHECK(config.train.batch % config.train.micro_batch == 0);
    for (const Field& f : fields.list())
      if (f.path() != "train.valid_blocks") CHECK_FALSE_MESSAGE(f.is_automatic(), f.path());
  }
}

TEST_CASE("what was given stays, and the rest follows it") {
  CHECK(chosen_for(740'000, {flag("train.batch", "2")}).train.batch == 2);
  CHECK(chosen_for(740'000, {flag("train.batch", "2")}).train.epochs == 1);
  CHECK(chosen_for(740'000, {flag("train.epochs", "7")}).train.epochs == 7);
  CHECK(chosen_for(740'000, {flag("optim.steps", "50")}).train.epochs == 1);
  CHECK(chosen_for(740'000, {flag("optim.optimizer", "adamw")}).optim.lr == 1e-3);
  CHECK(chosen_for(740'000, {flag("optim.lr", "0.5")}).optim.lr == 0.5);
  CHECK(chosen_for(740'000, {flag("train.micro_batch", "3")}).train.batch == 9);  // the next multiple of it
  const RunConfig keller = chosen_for(740'000, {flag("optim.muon_form", "keller-jordan")});
  CHECK(keller.optim.lr == doctest::Approx(3e-3 * 0.2 * std::sqrt(192.0)));
  CHECK(chosen_for(740'000, {flag("train.batch", "7"), flag("train.batch", "auto")}).train.batch == 8);
  CHECK_THROWS_AS(chosen_for(740'000, {flag("train.batch", "8"), flag("train.micro_batch", "3")}), ConfigError);

  RunConfig all;
  all.configure({flag("train.batch", "8"), flag("train.epochs", "1"), flag("optim.optimizer", "adamw"),
                 flag("optim.lr", "0.001")});
  CHECK(choose_for_text(all, 1000).empty());
  RunConfig none;
  none.configure({});
  CHECK(choose_for_text(none, 740'000) ==
        "8 x 512 tokens per step, 3 epochs, muon, learning rate 0.003, chosen for 740k tokens of text");
}

TEST_CASE("a short run is said to be short") {
  CHECK(too_short(24).find("24 steps teach a model little") == 0);
  CHECK(too_short(1).find("1 step teaches") == 0);
  CHECK(too_short(299) != "");
  CHECK(too_short(300) == "");

  OptimConfig optim;
  for (const std::int64_t steps : {1, 50, 10'000}) CHECK(too_long_warmup(optim, steps) == "");  // a share
  optim.warmup = {50, false};
  CHECK(too_long_warmup(optim, 51) == "");
  for (const std::int64_t steps : {1, 49, 50})
    CHECK(too_long_warmup(optim, steps).find("the learning rate climbs for optim.warmup = 50 steps") == 0);
}

TEST_CASE("validations that are due are counted as they come") {
  for (const std::int64_t total : {1, 2, 7, 30, 353})
    for (const Amount every : {Amount{0, false}, Amount{1, false}, Amount{10, false}, Amount{500, false},
                               Amount{25, true}, Amount{5, true}, Amount{0.01, true}, Amount{100, true}})
      for (std::int64_t step = 0; step <= total; ++step) {
        std::int64_t count = 0;
        for (std::int64_t s = step + 1; s <= total; ++s) count += due_at(s, total, every) ? 1 : 0;
        CHECK(due_after(step, total, every) == count);
      }
}

TEST_CASE("validations cost at most a tenth of a run by default, and always measure the same sample") {
  for (const std::int64_t total : {40, 300, 700, 4000})
    for (const std::int64_t batch : {8, 16, 64})
      for (const std::int64_t micro : {1, 4, 8})
        for (const std::int64_t blocks : {1, 5, 40, 700, 90000})
          for (const Amount every : {Amount{5, true}, Amount{25, true}, Amount{0, false}}) {
            const ValidationPlan plan = plan_validations(total, batch, micro, blocks, every, {});
            CAPTURE(total);
            CAPTURE(batch);
            CAPTURE(blocks);
            CHECK(plan.blocks == blocks);
            CHECK(plan.validations == 1 + due_after(0, total, every));
            CHECK((plan.sample % micro == 0 || plan.sample == blocks));
            CHECK(1 <= plan.sample);
            CHECK(plan.sample <= plan.last);
            CHECK(plan.last <= blocks);
            // One micro-batch is the least that can be measured, and may cost more in a very short run.
            if (plan.sample > micro) CHECK(plan.cost(total * batch) <= 0.1 + 1e-9);
          }
  // The whole text at the end where that leaves room for the rest.
  CHECK(plan_validations(720, 8, 8, 96, {5, true}, {}).last == 96);
  CHECK(plan_validations(300, 8, 8, 11000, {25, true}, {}).last < 11000);
}

TEST_CASE("a number of blocks that was given is measured every time") {
  Auto<std::int64_t> given;
  given = 8;
  CHECK(plan_validations(100, 8, 4, 50, {5, true}, given).sample == 8);
  CHECK(plan_validations(100, 8, 4, 50, {5, true}, given).last == 8);
  CHECK(plan_validations(100, 8, 4, 5, {5, true}, given).sample == 5);
  given = 0;
  CHECK(plan_validations(100, 8, 4, 50, {5, true}, given).sample == 50);
}

TEST_CASE("a validation before the first step says nothing of how long the steps take") {
  RemainingTime time;
  CHECK(std::isinf(time.seconds(100, 8, 0)));
  time.add_validation(60, 600);  // 0.1 s each
  CHECK(std::isinf(time.seconds(100, 8, 0)));
  time.add_step(0.8, 8);
  CHECK(time.seconds(100, 8, 0) == doctest::Approx(80));
  CHECK(time.seconds(100, 8, 50) == doctest::Approx(85));
  CHECK(time.seconds(0, 8, 0) == 0);
  for (int i = 0; i < 1000; ++i) time.add_step(1.6, 8);  // it became slower
  CHECK(time.seconds(100, 8, 0) == doctest::Approx(160).epsilon(0.01));
  RemainingTime unmeasured;
  unmeasured.add_step(3, 1);
  CHECK(unmeasured.seconds(0, 1, 10) == doctest::Approx(10));  // a third of a step each
}

}  // namespace blalm
