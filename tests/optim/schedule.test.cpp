#include "optim/schedule.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/core/error.h"

namespace blalm {
namespace {

constexpr std::int64_t kTotal = 1000;  // warm-up 50, WSD decay 200

OptimConfig with(ScheduleKind kind) {
  OptimConfig config;
  config.schedule = kind;
  config.lr = 3e-3;  // times 0.1 and over 50 it is not exact in binary
  return config;
}

}  // namespace

TEST_CASE("end points of every schedule are exact") {
  for (const ScheduleKind kind :
       {ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::wsd, ScheduleKind::constant}) {
    const OptimConfig config = with(kind);
    CHECK(lr_at(0, kTotal, config) == 0);
    CHECK(lr_at(1, kTotal, config) == doctest::Approx(config.lr / 50).epsilon(1e-15));
    CHECK(lr_at(25, kTotal, config) == config.lr / 2);
    CHECK(lr_at(50, kTotal, config) == config.lr);
    const double last = kind == ScheduleKind::linear     ? 0
                        : kind == ScheduleKind::constant ? config.lr.value
                                                         : config.min_lr.of(config.lr);
    CHECK(lr_at(kTotal, kTotal, config) == last);
    CHECK(lr_at(kTotal + 7, kTotal, config) == last);
  }
  CHECK(OptimConfig().min_lr.of(3e-3) == doctest::Approx(3e-4));
}

TEST_CASE("between the end points the formulas hold") {
  const double lr = 3e-3, low = 3e-4;
  CHECK(lr_at(525, kTotal, with(ScheduleKind::cosine)) == doctest::Approx((lr + low) / 2).epsilon(1e-12));
  const double x = (300.0 - 50) / 950;
  CHECK(lr_at(300, kTotal, with(ScheduleKind::cosine)) ==
        doctest::Approx(low + (lr - low) * 0.5 * (1 + std::cos(M_PI * x))).epsilon(1e-12));
  CHECK(lr_at(300, kTotal, with(ScheduleKind::linear)) == doctest::Approx(lr * (1 - x)).epsilon(1e-12));

  OptimConfig wsd = with(ScheduleKind::wsd);
  CHECK(lr_at(51, kTotal, wsd) == lr);
  CHECK(lr_at(800, kTotal, wsd) == lr);
  CHECK(lr_at(801, kTotal, wsd) < lr);
  CHECK(lr_at(850, kTotal, wsd) == doctest::Approx(low + (lr - low) * 0.75).epsilon(1e-12));
  wsd.wsd_shape = WsdShape::sqrt;
  CHECK(lr_at(800, kTotal, wsd) == lr);
  CHECK(lr_at(850, kTotal, wsd) == doctest::Approx(low + (lr - low) * 0.5).epsilon(1e-12));
  CHECK(lr_at(kTotal, kTotal, wsd) == wsd.min_lr.of(lr));
}

TEST_CASE("after the warm-up no schedule rises") {
  for (const ScheduleKind kind :
       {ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::wsd, ScheduleKind::constant}) {
    const OptimConfig config = with(kind);
    for (std::int64_t step = 1; step <= 50; ++step)
      CHECK(lr_at(step, kTotal, config) > lr_at(step - 1, kTotal, config));
    for (std::int64_t step = 51; step <= kTotal; ++step)
      CHECK(lr_at(step, kTotal, config) <= lr_at(step - 1, kTotal, config));
  }
}

TEST_CASE("amounts in steps and in learning rate") {
  OptimConfig config = with(ScheduleKind::wsd);
  config.warmup = {10, false};
  config.decay = {100, false};
  config.min_lr = {1e-5, false};
  CHECK(lr_at(10, kTotal, config) == config.lr);
  CHECK(lr_at(9, kTotal, config) < config.lr);
  CHECK(lr_at(900, kTotal, config) == config.lr);
  CHECK(lr_at(901, kTotal, config) < config.lr);
  CHECK(lr_at(kTotal, kTotal, config) == 1e-5);
}

TEST_CASE("short runs and long warm-ups stay in bounds") {
  for (const ScheduleKind kind :
       {ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::wsd, ScheduleKind::constant})
    for (const double warmup : {0.0, 50.0, 100.0, 300.0})
      for (const std::int64_t total : {1, 2, 3, 10}) {
        OptimConfig config = with(kind);
        config.warmup = {warmup, true};
        config.decay = {90, true};
        for (std::int64_t step = 0; step <= total + 1; ++step) {
          const double lr = lr_at(step, total, config);
          CHECK(std::isfinite(lr));
          CHECK(lr >= 0);
          CHECK(lr <= config.lr);
        }
        if (warmup >= 100) CHECK(lr_at(total, total, config) == config.lr);
      }
}

TEST_CASE("an open end is for constant schedules") {
  OptimConfig config = with(ScheduleKind::constant);
  config.warmup = {4, false};
  CHECK(lr_at(1, 0, config) == config.lr / 4);
  CHECK(lr_at(1 << 30, 0, config) == config.lr);
  CHECK_THROWS_WITH_AS(lr_at(1, 0, with(ScheduleKind::cosine)),
                       "[schedule] expected 1 step or more in total, got 0 (set optim.steps)", ConfigError);
  CHECK_THROWS_AS(lr_at(1, 0, with(ScheduleKind::constant)), ConfigError);  // 5% of what?
  CHECK_THROWS_AS(lr_at(-1, 10, config), ConfigError);
}

TEST_CASE("settings are read by name and checked") {
  OptimConfig config;
  const Fields fields = config.fields();
  for (const Field& field : fields.list())
    for (const std::string& choice : field.choices) {
      field.set(choice);
      CHECK(field.get() == choice);
    }
  for (const char* amount : {"optim.warmup", "optim.decay", "optim.min_lr"}) {
    fields.set(amount, "7%");
    CHECK(fields.at(amount).get() == "7%");
    CHECK_THROWS_WITH_AS(fields.set(amount, "101%"), doctest::Contains("expected at most 100%, got 101%"), ConfigError);
  }
  CHECK(config.warmup.of(200) == 14);
  fields.set("optim.nesterov", "false");
  fields.set("optim.gates_in_adamw", "true");
  CHECK_FALSE(config.nesterov);
  CHECK(config.gates_in_adamw);
  fields.set("optim.optimizer", "muon");
  fields.set("optim.muon_form", "keller-jordan");
  fields.set("optim.schedule", "wsd");
  fields.set("optim.wsd_shape", "sqrt");
  fields.set("optim.warmup", "100");
  fields.set("optim.steps", "2k");
  CHECK(config.optimizer == OptimizerKind::muon);
  CHECK(config.muon_form == MuonForm::keller_jordan);
  CHECK(config.schedule == ScheduleKind::wsd);
  CHECK(config.wsd_shape == WsdShape::sqrt);
  CHECK(config.warmup.of(7) == 100);
  CHECK(config.steps == 2000);
  CHECK_THROWS_AS(fields.set("optim.optimizer", "adam"), ConfigError);
  CHECK_THROWS_AS(fields.set("optim.beta1", "1"), ConfigError);
  CHECK_THROWS_AS(fields.set("optim.eps", "0"), ConfigError);
  CHECK_THROWS_AS(fields.set("optim.clip", "-1"), ConfigError);
  OptimConfig plain;
  CHECK(plain.fields().at("optim.lr").get() == "auto");
  CHECK(plain.fields().at("optim.min_lr").get() == "10%");
}

}  // namespace blalm
