// blalm train --resume: with other settings, with data in another place, of folders that are runs and that are none.
#include <regex>
#include <string>

#include "tests/apps/train_support.h"

namespace blalm {
namespace {

const std::string kShort = "--optim.steps 4 --optim.lr 1e-3 --train.sample_every 0 --train.histogram_every 0 ";

// A value in config.toml, edited as a user would.
void edit(const fs::path& run, const std::string& from, const std::string& to) {
  const std::string before = read_text(run / "config.toml");
  const std::string after = std::regex_replace(before, std::regex(from), to);
  REQUIRE_MESSAGE(before != after, from << " is not in\n" << before);
  write(run / "config.toml", after);
}

std::string prepare(const Folder& folder, const std::string& text, const std::string& out,
                    const std::string& more = "--vocab-size 300 ") {
  const Outcome o = run_blalm("tokenize --input " + text + " " + more + "--out " + folder / out);
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  return folder / out;
}

}  // namespace

TEST_CASE("a run whose folder, data or text has moved goes on; other data is refused by the name of its setting") {
  const Folder folder;
  const std::string text = testing::text_file(folder);
  write(folder.path / "other.txt", testing::sentences(900, 8));
  prepare(folder, text, "data");
  prepare(folder, folder / "other.txt", "other", "--tokenizer " + folder / "data" + " ");
  prepare(folder, folder / "other.txt", "foreign");
  REQUIRE(run_blalm(train_arguments(folder, "a", kShort + "--data.train " + folder / "data")).exit_code == 0);
  REQUIRE(run_blalm(train_arguments(folder, "b", kShort)).exit_code == 0);
  for (const char* name : {"a", "b", "data", "text.txt"})
    fs::rename(folder.path / name, folder.path / (std::string("moved-") + name));

  const auto resume = [&](const std::string& run, const std::string& more) {
    return run_blalm("train --resume auto --run " + folder / ("moved-" + run) + " " + more);
  };
  // Prepared before: it has to be found again.
  const std::string config = read_text(folder.path / "moved-a" / "config.toml");
  for (const auto& [more, code, words] : std::initializer_list<std::tuple<std::string, int, std::string>>{
           {"", 3, "[data.train] expected the data of this run, '" + (folder.path / "data").string() + "'"},
           {"--data.train " + folder / "other", 3, "[data.train] expected the text that the run was started with"},
           {"--data.train " + folder / "foreign", 3, "[data.tokenizer] expected the tokenizer"}}) {
    const Outcome o = resume("a", more);
    const std::string message = words;  // clang++ 14 captures no structured binding
    CHECK(o.exit_code == code);
    CHECK_MESSAGE(contains(error_of(o), message), o.output);
    CHECK(read_text(folder.path / "moved-a" / "config.toml") == config);
  }
  const Outcome found = resume("a", "--data.train " + folder / "moved-data");
  CHECK_MESSAGE((found.exit_code == 0 && contains(found, "resumed    at step 4 of 4")), found.output);
  CHECK(contains(read_text(folder.path / "moved-a" / "config.toml"), (folder.path / "moved-data").string()));
  CHECK(resume("a", "").exit_code == 0);

  // Of its own: goes with the run, and the text it was made of is compared where it is named.
  for (const std::string& more :
       {std::string(), "--data.train " + folder / "moved-text.txt", "--data.train " + folder / "moved-data"}) {
    const Outcome o = resume("b", more);
    CHECK_MESSAGE((o.exit_code == 0 && contains(o, "resumed    at step 4 of 4")), o.output);
    CHECK_FALSE(fs::exists(folder.path / "moved-b" / "data.check"));
  }
  for (const std::string name : {"other.txt", "other", "foreign"}) {
    const Outcome o = resume("b", "--data.train " + folder / name);
    CHECK(o.exit_code == 3);
    CHECK_MESSAGE(contains(error_of(o), "[data.train] expected the text of this run"), o.output);
  }
}

TEST_CASE("in a resume free settings change, are said and stay; fixed ones are refused, as flags and in config.toml") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "a", kShort)).exit_code == 0);
  const fs::path run = folder.path / "a";
  const auto resume = [&](const std::string& more) {
    return run_blalm("train --resume auto --run " + folder / "a" + " " + more);
  };
  for (const auto& [flag, before, written] : std::initializer_list<std::tuple<std::string, std::string, std::string>>{
           {"train.valid_every 7", "10", "\nvalid_every = 7 "},
           {"train.patience 3", "0", "\npatience = 3 "},
           {"train.sample_tokens 6", "5", "\nsample_tokens = 6 "},
           {"train.threads 2", "1", "\nthreads = 2 "},
           {"train.save_minutes 3", "10", "\nsave_minutes = 3.0 "},
           {"run.name second", "nothing", "\nname = \"second\" "}}) {
    const std::string path = flag.substr(0, flag.find(' ')), value = flag.substr(flag.find(' ') + 1);
    const std::string line = "setting    " + path + " = " + value + " (was " + before + ")", setting = written;
    const Outcome o = resume("--" + flag);
    CHECK_MESSAGE((o.exit_code == 0 && contains(o, line)), o.output);
    CHECK_MESSAGE(contains(read_text(run / "log.txt"), line), line);
    CHECK_MESSAGE(contains(read_text(run / "config.toml"), setting), setting);
    CHECK_FALSE(contains(resume(""), "setting    "));
  }
  edit(run, "sample_tokens = 6", "sample_tokens = 7");
  CHECK(contains(resume(""), "setting    train.sample_tokens = 7 (was 6)"));

  const std::string config = read_text(run / "config.toml"), state = read_text(run / "last" / "state.json");
  for (const std::string flag :
       {"optim.lr 0.5", "optim.schedule linear", "train.batch 4", "train.seed 1", "data.seed 1", "data.split_seed 1",
        "data.seq 16", "model.conv_kernel 4", "size tiny", "data.bos x"}) {
    const Outcome o = resume("--" + flag);
    const std::string said = flag.substr(0, flag.find(' ')) + " = " + flag.substr(flag.find(' ') + 1) + " (was ";
    CHECK(o.exit_code == 2);
    CHECK_MESSAGE(contains(error_of(o), "[resume] expected the settings of '" + run.string() + "', got "), o.output);
    CHECK_MESSAGE(contains(error_of(o), said), o.output);
    CHECK_MESSAGE(contains(error_of(o), "or begin a new run, from these weights with --init"), o.output);
  }
  for (const auto& [from, to] : std::initializer_list<std::pair<std::string, std::string>>{
           {"\nlr = 0.001", "\nlr = 0.01"}, {"\nbatch = 8", "\nbatch = 4"}, {"\nwarmup = \"5%\"", "\nwarmup = 3"}}) {
    edit(run, from, to);
    const Outcome o = resume("");
    CHECK(o.exit_code == 2);
    CHECK_MESSAGE(contains(error_of(o), ", edited in config.toml"), o.output);
    write(run / "config.toml", config);
  }
  CHECK(read_text(run / "last" / "state.json") == state);
}

TEST_CASE("a run is lengthened: what that does to its schedule is said, and steps made are not taken back") {
  const Folder folder;
  const auto rows = [&] { return metrics_of(folder.path / "a").size() - 2; };  // a header, step 0
  REQUIRE(run_blalm(train_arguments(folder, "a", kShort)).exit_code == 0);
  const Outcome more = run_blalm("train --resume auto --run " + folder / "a" + " --optim.steps 8");
  REQUIRE_MESSAGE(more.exit_code == 0, more.output);
  CHECK_MESSAGE(contains(more, "setting    optim.steps = 8 (was 4)"), more.output);
  // Cosine: after the warm-up of no step, 4/8 of the way to 10%... of which the fifth step is 5/8.
  CHECK_MESSAGE(contains(more,
                         "schedule   8 steps in all, not 4: the learning rate goes on at 3.78e-04 and would have "
                         "been 1.00e-04"),
                more.output);
  CHECK(contains(more, "resumed    at step 4 of 8"));
  CHECK(rows() == 8);
  edit(folder.path / "a", "\nsteps = 8 ", "\nsteps = 9 ");  // in silence, before
  CHECK(contains(run_blalm("train --resume auto --run " + folder / "a"), "schedule   9 steps in all, not 8"));
  const Outcome fewer = run_blalm("train --resume auto --run " + folder / "a" + " --optim.steps 5");
  CHECK(fewer.exit_code == 2);
  CHECK_MESSAGE(contains(error_of(fewer), "[resume] expected at least the 9 steps that the run has made, got 5"),
                fewer.output);
  CHECK(rows() == 9);

  const std::string epoch = "--optim.steps 0 --train.valid_every 0 --train.sample_every 0 --train.histogram_every 0 ";
  REQUIRE(run_blalm(train_arguments(folder, "e", epoch + "--train.epochs 1")).exit_code == 0);
  const std::int64_t once = summary_of(folder.path / "e").at("steps");
  const Outcome twice = run_blalm(train_arguments(folder, "e", epoch + "--train.epochs 2 --resume"));
  CHECK_MESSAGE((twice.exit_code == 0 && contains(twice, "schedule   ")), twice.output);
  CHECK(summary_of(folder.path / "e").at("steps") >= 2 * once - 1);
}

TEST_CASE("only a run is resumed, and a run is begun only where nothing of anybody else lies") {
  const Folder folder;
  testing::text_file(folder);
  fs::create_directories(folder.path / "corpus");
  write(folder.path / "corpus" / "a.txt", testing::sentences(20));
  fs::create_directories(folder.path / "settings");
  write(folder.path / "settings" / "config.toml", "[optim]\nlr = 0.01\n");
  fs::create_directories(folder.path / "texts" / "data");
  write(folder.path / "texts" / "data" / "a.txt", testing::sentences(20));
  fs::create_directories(folder.path / "empty");
  for (const std::string name : {"typo", "corpus", "settings", "texts", "empty"}) {
    CAPTURE(name);
    const bool is_free = name == "typo" || name == "empty";
    const Outcome alone = run_blalm("train --resume auto --run " + folder / name);
    CHECK(alone.exit_code == 2);
    CHECK_MESSAGE(
        contains(error_of(alone), "[resume] expected a run in '" + (folder.path / name).string() + "', got none"),
        alone.output);
    if (is_free) continue;
    for (const std::string how : {"", "--resume auto"}) {
      const Outcome o = run_blalm(train_arguments(folder, name, kShort + how));
      CHECK(o.exit_code == 2);
      CHECK_MESSAGE(contains(error_of(o), "which is none and holds '"), o.output);
    }
    CHECK_FALSE(fs::exists(folder.path / name / "last"));
    CHECK_FALSE(fs::exists(folder.path / name / "log.txt"));
  }
  CHECK_FALSE(fs::exists(folder.path / "typo"));
  CHECK(fs::is_empty(folder.path / "empty"));
  // With data the run may begin, and says so. What a killed preparation left is in nobody's way.
  fs::create_directories(folder.path / "killed" / "data" / ".preparing");
  for (const std::string name : {"new", "empty", "killed"}) {
    const Outcome o = run_blalm(train_arguments(folder, name, kShort + "--resume auto"));
    CHECK_MESSAGE((o.exit_code == 0 && contains(o, ", a new one: there was none to resume")), o.output);
  }
}

TEST_CASE("--init begins a run with a model's weights: its shape and tokenizer, a schedule of its own") {
  const Folder folder;
  const std::string text = testing::text_file(folder);
  REQUIRE(run_blalm(train_arguments(folder, "first", "--train.valid_every 30")).exit_code == 0);
  const auto arguments = [&](const std::string& run, const std::string& more) {
    return "train --run " + folder / run +
           " --train.batch 8 --train.micro_batch 4 --data.seq 32 --train.threads 1 --train.precision f32 "
           "--train.valid_blocks 8 --train.valid_every 0 --optim.schedule constant --optim.warmup 0 " +
           kShort + more;
  };
  for (const std::string& data : {" --data.train " + text, " --data.train " + folder / "first/data"}) {
    const std::string run = "second-" + std::to_string(data.size());
    const Outcome o = run_blalm(arguments(run, "--init " + folder / "first" + data));
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
    CHECK_MESSAGE(contains(o, "weights    from '" + (folder.path / "first").string() + "'"), o.output);
    // It begins where the first ended, and its rate where a schedule begins.
    const auto last = metrics_of(folder.path / "first").back(), first = metrics_of(folder.path / run).at(1);
    CHECK(first.at(0) == "0");
    CHECK(first.at(5) == last.at(5));
    CHECK(metrics_of(folder.path / run).at(2).at(7) == "0.001");
    CHECK(contains(read_text(folder.path / run / "config.toml"), "\ninit = \"" + (folder.path / "first").string()));
    CHECK(summary_of(folder.path / run).at("settings").at("train.init") == (folder.path / "first").string());
  }
  // A model of a shape that has no name, settings that agree with it, and prepared data of its tokenizer.
  CHECK(run_blalm(arguments("same", "--model.hidden_size 32 --preset mlstm --data.vocab_size 300 --data.train " + text +
                                        " --init " + folder / "first/best"))
            .exit_code == 0);
  write(folder.path / "other.txt", "Quite another text has quite another tokenizer.\n" + testing::sentences(400, 9));
  prepare(folder, folder / "other.txt", "foreign");
  for (const auto& [more, words] : std::initializer_list<std::pair<std::string, std::string>>{
           {"--model.hidden_size 64", "[model.hidden_size] expected 32, as in the model '"},
           {"--model.conv_kernel 4", "[model.conv_kernel] expected 0, as in the model '"},
           {"--preset transformer", "[preset] expected the mixer and its features, as in the model '"},
           {"--size tiny", "[size] expected the widths and layers, as in the model '"},
           {"--data.vocab_size 400", "[data.vocab_size] expected 300"},
           {"--data.train " + folder / "foreign", "[train.init] expected the tokenizer of the model '"}}) {
    const std::string data = contains(more, "--data.train") ? "" : "--data.train " + text;
    const Outcome o = run_blalm(arguments("wrong", data + " --init " + folder / "first" + " " + more));
    const std::string message = words;  // clang++ 14 captures no structured binding
    CHECK(o.exit_code == 2);
    CHECK_MESSAGE(contains(error_of(o), message), o.output);
    CHECK_FALSE(fs::exists(folder.path / "wrong"));
  }
  CHECK(run_blalm(arguments("wrong", "--data.train " + text + " --init " + folder / "nowhere")).exit_code == 3);

  // What it began with is not needed any more.
  fs::remove_all(folder.path / "first");
  const std::string run = "second-" + std::to_string((" --data.train " + text).size());
  const Outcome again = run_blalm("train --resume auto --run " + folder / run + " --optim.steps 6");
  CHECK_MESSAGE((again.exit_code == 0 && contains(again, "resumed    at step 4 of 6")), again.output);
}

TEST_CASE("--resume alone means auto; an option that is the end of a setting's name brings that setting to mind") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "a", kShort)).exit_code == 0);
  for (const std::string& arguments :
       {"--resume --run " + folder / "a", "--run " + folder / "a" + " --resume", "--resume=auto --run " + folder / "a",
        "--resume " + folder / "a/config.toml" + " --run " + folder / "a"}) {
    const Outcome o = run_blalm("train " + arguments);
    CHECK_MESSAGE((o.exit_code == 0 && contains(o, "resumed    at step 4 of 4")), o.output);
  }
  for (const auto& [option, words] : std::initializer_list<std::pair<std::string, std::string>>{
           {"train --lr 1", "did you mean --optim.lr?"},
           {"train --epochs=3", "did you mean --train.epochs?"},
           {"train --vocab-size 300", "did you mean --model.vocab_size or --data.vocab_size?"},
           {"train --seed 3", "did you mean --data.seed or --train.seed?"},
           {"train --hidden_size 3", "did you mean --model.hidden_size?"},
           {"train --epoch 3", "did you mean --train.epochs?"},
           {"tokenize --separator none", "did you mean --data.separator?"},
           {"inspect model --swa_window 3", "did you mean --model.swa_window?"}}) {
    const Outcome o = run_blalm(option);
    const std::string message = words;  // clang++ 14 captures no structured binding
    CHECK(o.exit_code == 2);
    CHECK_MESSAGE(contains(error_of(o), message), o.output);
  }
}

TEST_CASE("--print-config writes what was asked: it takes other settings, and other machines") {
  const Folder folder;
  const Outcome o = run_blalm("train --data.train texts --train.batch 16 --print-config");
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  for (const char* line : {"\nmicro_batch = 0 ", "\nthreads = 0 ", "\nprecision = \"auto\"",
                           "\nns_precision = \"auto\"", "\ntrain = [\"texts\"]"})
    CHECK_MESSAGE(contains(o, line), line);
  write(folder.path / "c.toml", o.output);
  for (const char* other : {"--train.batch 2", "--train.batch 6", "--data.seq 4096", "--train.threads 1"})
    CHECK_MESSAGE(run_blalm("train " + folder / "c.toml" + " --print-config " + other).exit_code == 0, other);
  CHECK(run_blalm("train --train.batch 6 --train.micro_batch 4 --print-config").exit_code == 2);
}

TEST_CASE("run.json says where a run stands, how it did, what it is called and what it was made with") {
  const Folder folder;
  const Outcome o = run_blalm(train_arguments(
      folder, "a",
      "--optim.lr 1e-3 --run.name 'the \"first\"' --run.notes 'as a start' --run.tags small --run.tags 'a, b'"));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  const nlohmann::json run = summary_of(folder.path / "a");
  const auto rows = metrics_of(folder.path / "a");
  CHECK(run.at("name") == "the \"first\"");
  CHECK(run.at("notes") == "as a start");
  CHECK(run.at("tags").size() == 2);
  CHECK(run.at("steps") == 30);
  CHECK(run.at("total_steps") == 30);
  CHECK(std::to_string(run.at("words").get<int>()) == rows.back().at(1));
  CHECK(std::to_string(run.at("tokens").get<int>()) == rows.back().at(2));
  CHECK(run.at("valid_loss").get<double>() == doctest::Approx(std::stod(rows.back().at(5))).epsilon(1e-6));
  double best = 1e9;
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (!rows[i].at(5).empty()) best = std::min(best, std::stod(rows[i].at(5)));
  CHECK(run.at("best_valid_loss").get<double>() == doctest::Approx(best).epsilon(1e-6));
  CHECK(run.at("train_loss").get<double>() < 6);
  CHECK(run.at("parameters").get<int>() > 300 * 32);
  CHECK(run.at("seconds").get<double>() > 0);
  CHECK(run.at("settings").at("optim.lr") == "0.001");
  const Outcome again = run_blalm("train --resume auto --run " + folder / "a" + " --run.notes 'was a start'");
  REQUIRE_MESSAGE(again.exit_code == 0, again.output);
  CHECK(summary_of(folder.path / "a").at("notes") == "was a start");

  // Without held-out text there is none to tell of.
  REQUIRE(run_blalm(train_arguments(folder, "b", kShort + "--data.valid_share 0")).exit_code == 0);
  CHECK(summary_of(folder.path / "b").at("valid_loss").is_null());
  CHECK(summary_of(folder.path / "b").at("best_valid_loss").is_null());
}

TEST_CASE("what is trained on is counted, by heart as well") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "o", kShort + "--overfit 1 --train.valid_every 0")).exit_code == 0);
  const auto rows = metrics_of(folder.path / "o");
  CHECK(rows.back().at(2) == std::to_string(4 * 8 * 32));
  CHECK(std::stoi(rows.back().at(1)) > 4 * 8 * 32 / 5);
  CHECK(summary_of(folder.path / "o").at("tokens") == 4 * 8 * 32);
}

TEST_CASE("three seeds: of the weights, of the order of the blocks, of the lines held out") {
  const Folder folder;
  const auto train = [&](const std::string& run, const std::string& more) {
    const Outcome o = run_blalm(train_arguments(folder, run, kShort + more));
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
    return summary_of(folder.path / run).at("data");
  };
  const auto usual = train("usual", "");
  const auto first_loss = [&](const std::string& run) { return metrics_of(folder.path / run).at(2).at(4); };
  const auto untrained = [&](const std::string& run) { return metrics_of(folder.path / run).at(1).at(5); };
  CHECK(train("weights", "--train.seed 1") == usual);
  CHECK(train("order", "--data.seed 1") == usual);
  CHECK(train("split", "--data.split_seed 1") != usual);
  CHECK(untrained("weights") != untrained("usual"));
  CHECK(untrained("order") == untrained("usual"));
  CHECK(first_loss("order") != first_loss("usual"));
  // The order is that of data.seed alone.
  const auto identity = [&](const std::string& run) {
    return state_in(folder.path / run / "last").at("loader_identity");
  };
  CHECK(identity("weights") == identity("usual"));
  CHECK(identity("order") != identity("usual"));
}

TEST_CASE("the folder of an older program is resumed with what its seeds meant") {
  const Folder folder;
  // data.seed drew the held-out lines and, with train.seed added, the order of the blocks.
  const std::string now = "--train.seed 3 --data.seed 5 --data.split_seed 2 ";
  for (const std::string run : {"new", "old"})
    REQUIRE(run_blalm(train_arguments(folder, run, kShort + now)).exit_code == 0);
  const fs::path old = folder.path / "old";
  edit(old, "\\[run\\]\nname[^\n]*\nnotes[^\n]*\ntags[^\n]*\n", "");
  edit(old, "\nsplit_seed[^\n]*", "");
  edit(old, "\nseed = 5", "\nseed = 2");
  nlohmann::json json = summary_of(old);
  for (const char* key : {"settings", "data"}) json.erase(key);
  write(old / "run.json", json.dump());
  for (const std::string run : {"new", "old", "old"}) {
    const Outcome o = run_blalm("train --resume auto --run " + folder / run + " --optim.steps 8");
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  }
  check_same_run(folder.path / "new", old);
  CHECK(contains(read_text(old / "config.toml"), "\nsplit_seed = 2 "));
  CHECK(contains(read_text(old / "config.toml"), "\nseed = 5 "));
}

TEST_CASE("an option is no value of another option") {
  const Folder folder;
  for (const std::string option : {"--run", "--run.name", "--train.prompts", "--init", "--optim.lr"}) {
    const Outcome o = run_blalm("train " + option + " --resume", testing::kBothStreams, "cd " + folder.path.string() + "; ");
    CHECK(o.exit_code == 2);
    CHECK_MESSAGE(error_of(o).starts_with("blalm: [" + option + "] expected a value, got the option --resume"), o.output);
  }
  CHECK(fs::is_empty(folder.path));
}

}  // namespace blalm
