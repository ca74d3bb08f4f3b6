// What a run of blalm train leaves, and what it says of that, where numbers, disks, folders or processes fail.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <optional>

#include "tests/apps/started.h"
#include "tests/apps/train_support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using testing::Started;

std::string listing(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

// In a file system of its own, `size` large, at FOLDER/disk; nothing where that cannot be made.
std::optional<Outcome> on_disk(const Folder& folder, const std::string& size, const std::string& commands) {
  fs::create_directories(folder.path / "disk");
  const std::string mount = "mount -t tmpfs -o size=" + size + " none " + folder / "disk";
  if (testing::run_shell("unshare -m sh -c \"" + mount + "\" 2>&1").exit_code != 0) {
    MESSAGE("not tested: no right to mount a file system");
    return {};
  }
  write(folder.path / "commands.sh", mount + "\nblalm='" + testing::build_folder() + "/blalm'\n" + commands);
  return testing::run_shell("unshare -m sh " + folder / "commands.sh" + " 2>&1");
}

}  // namespace

TEST_CASE("a run whose numbers are not finite fails, says what to try, and keeps what was good") {
  const Folder folder;
  // The first step makes weights of 1e30, finite ones that give no finite loss any more.
  const std::string wild = "--optim.lr 1e30 --optim.warmup 0 --train.histogram_every 0 --train.valid_every 1000 ";
  const auto train = [&](const std::string& run, const std::string& more) {
    return run_blalm(train_arguments(folder, run, wild + more));
  };
  const auto check_failed = [&](const std::string& run, const Outcome& o, const std::string& words) {
    CAPTURE(run);
    CHECK_MESSAGE(o.exit_code == 4, o.output);
    CHECK_MESSAGE(contains(error_of(o), words), o.output);
    CHECK_MESSAGE(contains(error_of(o), "(try an optim.lr below 1e+30, or --anomaly to see where it begins"), o.output);
    CHECK_FALSE(contains(o, "finished after"));
    if (!fs::exists(folder.path / run)) return;
    const nlohmann::json summary = summary_of(folder.path / run);
    CHECK(summary.at("state") == "failed");
    CHECK("blalm: " + summary.at("reason").get<std::string>() == error_of(o));
  };

  SUBCASE("steps skipped in a row end the run, and what is left is the model from before them") {
    const Outcome o = train("a", "--optim.steps 100");
    check_failed("a", o, "got 20 skipped steps in a row (train.max_skipped), from step 2 on, where that of model.");
    CHECK(contains(error_of(o), "; no checkpoint was saved, best/ has the model of step 0)"));
    CHECK(metrics_of(folder.path / "a").back().at(0) == "21");
    CHECK_FALSE(fs::exists(folder.path / "a" / "last"));
    CHECK(state_in(folder.path / "a" / "best").at("step") == 0);
    // It fails again in the same way, and after fewer steps where that is asked for.
    check_failed("a", train("a", "--optim.steps 100 --resume auto"), "got 20 skipped steps in a row");
    check_failed("b", train("b", "--optim.steps 100 --train.max_skipped 3"), "got 3 skipped steps in a row");
    CHECK(metrics_of(folder.path / "b").back().at(0) == "4");
  }
  SUBCASE("a run that ends before so many, or is never to stop, is not called finished") {
    check_failed("a", train("a", "--optim.steps 6"), "expected finite weights at the end, got 5 skipped steps in a row");
    check_failed("a", train("a", "--optim.steps 6 --resume auto"), "got 5 skipped steps in a row, from step 2 on");
    check_failed("b", train("b", "--optim.steps 30 --train.max_skipped 0"), "got 29 skipped steps in a row");
    CHECK(metrics_of(folder.path / "b").back().at(0) == "30");
    check_failed("c", train("c", "--optim.steps 1"), "expected weights that give a finite loss at the end, got others");
    check_failed("d", train("d", "--optim.steps 100 --dry-run 60"), "got 20 skipped steps in a row");
  }
  SUBCASE("weights that are not finite are never saved, whatever ends the run") {
    const std::string wilder = "--optim.lr 1e38 --optim.weight_decay 1e9 ";
    for (const std::string more : {"--optim.steps 6", "--optim.steps 100", "--optim.steps 6 --data.valid_share 0"}) {
      fs::remove_all(folder.path / "a");
      const Outcome o = train("a", wilder + "--train.save_minutes 0.00001 " + more);
      CHECK_MESSAGE(o.exit_code == 4, o.output);
      CHECK_MESSAGE(
          contains(o, "the checkpoint could not be saved, and there is none yet: [checkpoint] expected finite"),
          o.output);
      CHECK_MESSAGE(contains(error_of(o), "skipped steps in a row"), o.output);
      const bool has_best = !contains(more, "valid_share");
      CHECK_MESSAGE(contains(error_of(o), has_best ? "; no checkpoint was saved, best/ has the model of step 0)"
                                                   : "; no checkpoint was saved)"),
                    o.output);
      CHECK_FALSE(fs::exists(folder.path / "a" / "last"));
      CHECK(summary_of(folder.path / "a").at("state") == "failed");
    }
  }
  SUBCASE("a good run says nothing of it") {
    const Outcome o = run_blalm(train_arguments(folder, "a"));
    CHECK(o.exit_code == 0);
    CHECK_FALSE(summary_of(folder.path / "a").contains("reason"));
  }
}

TEST_CASE("room for two checkpoints is looked for before the first step, and what they replace counts") {
  const Folder folder;
  testing::text_file(folder);
  const std::string settings = "--optim.steps 5 --train.histogram_every 0";
  const auto small =
      on_disk(folder, "600k",
              "$blalm " + train_arguments(folder, "disk/run", settings) + "\necho code $?; ls " + folder / "disk");
  if (small) {
    CHECK_MESSAGE(contains(*small, "MB of room for two checkpoints in '"), small->output);
    CHECK_MESSAGE(contains(*small, "make room, or name another folder with --run"), small->output);
    CHECK_FALSE(contains(*small, "step 1/5"));
    CHECK_MESSAGE(small->output.ends_with("code 3\n"), small->output);
  }
  // Filled up to the last byte around its checkpoints, a run can still replace them.
  const auto full = on_disk(folder, "2m",
                            "$blalm " + train_arguments(folder, "disk/run", settings) + " || exit 9\ncat /dev/zero >" +
                                folder / "disk/fill" + " 2>/dev/null; truncate -s -32k " + folder / "disk/fill" +
                                "; $blalm " + train_arguments(folder, "disk/run", settings + " --resume auto") +
                                "; echo code $?; ls " + folder / "disk/run");
  if (full) {
    CHECK_MESSAGE(contains(*full, "code 0\n"), full->output);
    CHECK_FALSE(contains(*full, "could not be saved"));
  }
}

TEST_CASE("weights that are finite and give no finite loss are never saved; what was good before is named") {
  const Folder folder;
  const std::string settings = "--optim.lr 1e30 --optim.clip 0 --optim.optimizer adamw --optim.warmup 0 ";
  for (const std::string more : {"--train.max_skipped 5", "--train.max_skipped 0 --optim.steps 4"}) {
    const std::string run = "run" + std::to_string(more.size());
    const Outcome o = run_blalm(train_arguments(folder, run, settings + more));
    CHECK_MESSAGE(o.exit_code == 4, o.output);
    CHECK_MESSAGE(contains(o, "the checkpoint could not be saved"), o.output);
    CHECK_MESSAGE(contains(o, "no checkpoint was saved, best/ has the model of step 0"), o.output);
    CHECK_FALSE(contains(o, "finished"));
    CHECK_FALSE(fs::exists(folder.path / run / "last"));
    CHECK(run_blalm("generate --prompt x --max-tokens 3 --model " + folder / run + "/best").exit_code == 0);
  }
}

TEST_CASE("the first checkpoint comes after the first step") {
  const Folder folder;
  Started started(train_arguments(folder, "a", "--optim.steps 100000 >/dev/null"));
  REQUIRE(started.wait_until([&] { return fs::exists(folder.path / "a" / "last" / "DONE"); }));
  started.kill(SIGKILL);
  started.finish();
  CHECK(state_in(folder.path / "a" / "last").at("step") == 1);
  CHECK_FALSE(fs::exists(folder.path / "a" / "last.previous"));
}

TEST_CASE("best/ holds no optimiser, the checkpoint before the last is kept unless it is not wanted, sizes are said") {
  const Folder folder;
  const Outcome o = run_blalm(train_arguments(folder, "a"));
  CHECK_MESSAGE(contains(o, "\ncheckpoint last/ and last.previous/ of 0."), o.output);
  CHECK_MESSAGE(contains(o, " MB each, best/ of 0."), o.output);
  const std::string model = "DONE config.json model.safetensors state.json tokenizer.json tokenizer_config.json ";
  const std::string whole = "DONE config.json model.safetensors optim.safetensors state.json tokenizer.json tokenizer_config.json ";
  CHECK(listing(folder.path / "a" / "best") == model);
  CHECK(listing(folder.path / "a" / "last") == whole);
  CHECK(listing(folder.path / "a" / "last.previous") == whole);

  const Outcome less = run_blalm(train_arguments(folder, "b", "--train.keep_previous false --train.milestones false"));
  CHECK_MESSAGE(contains(less, "\ncheckpoint last/ of 0."), less.output);
  CHECK_FALSE(fs::exists(folder.path / "b" / "last.previous"));
  CHECK(run_blalm(train_arguments(folder, "b", "--resume auto --train.keep_previous true")).exit_code == 0);
  CHECK(fs::exists(folder.path / "b" / "last.previous"));
}

TEST_CASE("links and files in the places of checkpoints and logs are replaced or refused, never followed") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "whole")).exit_code == 0);
  fs::create_directories(folder.path / "elsewhere");
  write(folder.path / "elsewhere" / "precious", "precious");
  const auto resume = [&] { return run_blalm(train_arguments(folder, "run", "--resume auto")); };
  const auto renew = [&] {
    fs::remove_all(folder.path / "run");
    fs::copy(folder.path / "whole", folder.path / "run", fs::copy_options::recursive);
  };
  for (const std::string name : {"last", "last.new", "last.previous", "best", "best.new"}) {
    for (const std::string target : {"loop", "elsewhere", "nowhere", "file"}) {
      CAPTURE(name);
      CAPTURE(target);
      renew();
      const fs::path at = folder.path / "run" / name;
      fs::remove_all(at);
      if (target == "file")
        write(at, "x");
      else
        fs::create_directory_symlink(target == "loop" ? fs::path(name) : folder.path / target, at);
      const Outcome o = resume();
      CHECK_MESSAGE(o.exit_code == 0, o.output);
      CHECK_FALSE(contains(o, "filesystem error"));
      CHECK(fs::exists(folder.path / "run" / "last" / "DONE"));
      CHECK_FALSE(fs::is_symlink(folder.path / "run" / "last"));
      CHECK(listing(folder.path / "elsewhere") == "precious ");
    }
  }
  for (const std::string name : {"run.json", "metrics.csv", "samples.txt"}) {
    CAPTURE(name);
    renew();
    fs::remove(folder.path / "run" / name);
    fs::create_symlink(folder.path / "elsewhere" / "precious", folder.path / "run" / name);
    const Outcome o = resume();
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    CHECK_FALSE(fs::is_symlink(folder.path / "run" / name));
    CHECK(read_text(folder.path / "elsewhere" / "precious") == "precious");
  }
  renew();
  fs::remove(folder.path / "run" / "log.txt");
  fs::create_symlink(folder.path / "elsewhere" / "precious", folder.path / "run" / "log.txt");
  const Outcome o = resume();
  CHECK(o.exit_code == 3);
  CHECK_MESSAGE(contains(error_of(o), "Too many levels of symbolic links"), o.output);
  CHECK(read_text(folder.path / "elsewhere" / "precious") == "precious");
}

TEST_CASE("after a kill nothing is left over, and each sample is there once") {
  const Folder folder;
  const std::string settings = "--optim.steps 40 --train.sample_every 1 ";
  REQUIRE(run_blalm(train_arguments(folder, "whole", settings)).exit_code == 0);
  Started started(train_arguments(folder, "cut", settings));
  const fs::path run = folder.path / "cut";
  REQUIRE(started.wait_until([&] { return contains(read_text(run / "samples.txt"), "step 5\n"); }));
  started.kill(SIGKILL);
  started.finish();
  CHECK(state_in(run / "last").at("step") == 1);
  write(run / ".blalm-1-7.tmp", "x");
  for (const char* name : {"last.new", "best.new", "chck_1M.new"}) {
    fs::create_directories(run / name);
    write(run / name / "model.safetensors", "x");
  }
  fs::create_directories(run / "mine.new");
  const Outcome o = run_blalm(train_arguments(folder, "cut", settings + "--resume auto"));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  CHECK(read_text(run / "samples.txt") == read_text(folder.path / "whole" / "samples.txt"));
  check_same_run(folder.path / "whole", run);
  CHECK(fs::exists(run / "mine.new"));
  for (const char* name : {".blalm-1-7.tmp", "last.new", "best.new", "chck_1M.new"})
    CHECK_MESSAGE(!fs::exists(run / name), name);
}

}  // namespace blalm
