#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/io/safetensors.h"
#include "tests/apps/support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using testing::contains;
using testing::Folder;
using testing::kGolden;
using testing::Outcome;
using testing::run_blalm;

// A golden file with one tensor changed or left out.
std::filesystem::path altered(const Folder& folder, const std::string& name, const std::string& tensor,
                              bool leave_out) {
  const SafetensorsFile file = SafetensorsFile::open(kGolden + "/" + name);
  SafetensorsWriter writer;
  for (const auto& [key, value] : file.metadata()) writer.metadata(key, value);
  for (const std::string& key : file.names()) {
    Tensor t = file.load(key);
    if (key == tensor && leave_out) continue;
    if (key == tensor) t.mutable_data<float>()[3] += 0.5F;
    writer.add(key, t);
  }
  writer.write(folder.path / name);
  return folder.path / name;
}

}  // namespace

TEST_CASE("alone it lists the commands; an unknown one is a usage error with the nearest name") {
  const Outcome alone = run_blalm("");
  CHECK(alone.exit_code == 0);
  CHECK(contains(alone, "  check "));
  const Outcome wrong = run_blalm("chek");
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.output == "blalm: [blalm] expected a command, got chek (did you mean check?)\n");
}

TEST_CASE("every command's help shows options and an example") {
  for (const std::string command : {"bench", "bench step", "bench decode", "bench kernels", "check", "generate",
                                    "inspect", "inspect kernels", "inspect model", "tokenize", "train"}) {
    const Outcome help = run_blalm(command + " --help");
    CHECK(help.exit_code == 0);
    CHECK(contains(help, "example: blalm " + command));
    CHECK(contains(help, "Usage:\n  blalm " + command));
    CHECK_FALSE(contains(help, "\x1b"));
    const Outcome wrong = run_blalm(command + " --nonsense 3");
    CHECK_MESSAGE(wrong.exit_code == 2, wrong.output);
    CHECK(std::count(wrong.output.begin(), wrong.output.end(), '\n') == 1);
  }
  CHECK(contains(run_blalm("check --help"), "blalm check [OPTIONS] FILE..."));
}

TEST_CASE("a standard output that cannot be written is an error") {
  const Outcome o = run_blalm("inspect kernels", "2>&1 >/dev/full");
  CHECK(o.exit_code == 3);
  CHECK(o.output.starts_with("blalm: "));
  CHECK(run_blalm("inspect kernels", ">/dev/full 2>&1").exit_code == 3);
}

TEST_CASE("check passes the golden files, in every form of the mLSTM and with every backend") {
  for (const std::string form : {"auto", "recurrent", "parallel", "chunkwise"})
    for (const std::string backend : {"cpu", "auto"}) {
      const Outcome o =
          run_blalm("check '" + kGolden + "/op-mlstm.safetensors' --form " + form + " --backend " + backend);
      CHECK_MESSAGE(o.exit_code == 0, o.output);
      CHECK(contains(o, "6 passed, 0 failed\n"));
    }
  const Outcome all = run_blalm("check '" + kGolden + "'/op-*.safetensors");
  CHECK_MESSAGE(all.exit_code == 0, all.output);
}

TEST_CASE("a mismatch is exit code 4 and names the tensor") {
  const Folder folder;
  const auto path = altered(folder, "op-rms-norm.safetensors", "grad/w", false);
  const Outcome o = run_blalm("check '" + path.string() + "'");
  CHECK(o.exit_code == 4);
  CHECK(contains(o, "FAILED: more than 1e-04"));
  CHECK(contains(o, "2 passed, 1 failed\n"));
  CHECK(run_blalm("check '" + path.string() + "' --tolerance 10").exit_code == 0);
}

TEST_CASE("a bad file is exit code 3, and the others are still checked") {
  const Folder folder;
  const auto path = altered(folder, "op-rms-norm.safetensors", "grad/w", true);
  const Outcome o =
      run_blalm("check '" + path.string() + "' '" + kGolden + "/op-mlstm.safetensors' /nowhere/x.safetensors");
  CHECK(o.exit_code == 3);
  CHECK(contains(o, "grad/w"));
  CHECK(contains(o, "/nowhere/x.safetensors"));
  CHECK_MESSAGE(o.output.ends_with("\n6 passed, 2 failed\n"), o.output);

  std::ofstream(folder.path / "cut.safetensors", std::ios::binary) << "\xff\xff\xff\x7f";
  const Outcome cut = run_blalm("check '" + (folder.path / "cut.safetensors").string() + "'");
  CHECK(cut.exit_code == 3);
  CHECK(contains(cut, "cut.safetensors"));
  CHECK(cut.output.ends_with("\n0 passed, 1 failed\n"));
}

TEST_CASE("a forced kernel that declines a file fails that file, and the others are still checked") {
  // oneDNN takes no f64, and of these only the Hedgehog map multiplies matrices.
  const std::string forced = "check --dtype f64 --kernel matmul=onednn:f32 ",
                    rope = "'" + kGolden + "/op-rope.safetensors' ";
  const Outcome o =
      run_blalm(forced + rope + "'" + kGolden + "/op-hedgehog.safetensors' '" + kGolden + "/op-rms-norm.safetensors'");
  CHECK(o.exit_code == 4);
  CHECK_MESSAGE(contains(o, "op-hedgehog.safetensors: [matmul] implementation onednn:f32 was asked for but declines: "),
                o.output);
  CHECK(contains(o, "\nop-rms-norm.safetensors\n"));
  CHECK_MESSAGE(o.output.ends_with("\n5 passed, 1 failed\n"), o.output);
}

TEST_CASE("a forced kernel that nothing runs is an error, however well the files agree") {
  const std::string rope = "check '" + kGolden + "/op-rope.safetensors' ";
  for (const std::string more : {"--kernel matmul=eigen", "--composed --kernel rope=reference"}) {
    const Outcome o = run_blalm(rope + more);
    CHECK(o.exit_code == 2);
    CHECK(contains(o, "\n2 passed, 0 failed\n"));
    const std::string forced = more.substr(more.rfind(' ') + 1);
    CHECK_MESSAGE(
        contains(o, "blalm: [kernel] expected work that runs " + forced + ", got none (--kernel had no effect)\n"),
        o.output);
  }
  CHECK(run_blalm(rope + "--kernel rope=reference").exit_code == 0);
  CHECK(run_blalm(rope + "'" + kGolden + "/op-hedgehog.safetensors' --kernel matmul=eigen").exit_code == 0);
  // Of several for one kernel the last counts, as with every option.
  CHECK(run_blalm("check '" + kGolden + "/op-hedgehog.safetensors' --kernel matmul=eigen --kernel matmul=reference")
            .exit_code == 0);
}

TEST_CASE("check in bf16 keeps weights and gates in f32 and has tolerances of its own") {
  const Outcome all = run_blalm("check --dtype bf16 '" + kGolden + "'/op-*.safetensors");
  CHECK_MESSAGE(all.exit_code == 0, all.output);
  CHECK(contains(all, ", 0 failed\n"));
  const Outcome tight = run_blalm("check --dtype bf16 --tolerance 1e-4 '" + kGolden + "/op-short-conv.safetensors'");
  CHECK(tight.exit_code == 4);
  CHECK(contains(tight, "\n0 passed, 3 failed\n"));
  const Outcome f32 = run_blalm("check '" + kGolden + "/op-short-conv.safetensors'");
  CHECK(contains(f32, "\n3 passed, 0 failed\n"));
}

TEST_CASE("wrong usage is exit code 2, in one line") {
  for (const auto& [arguments, words] :
       {std::pair<std::string, std::string>{"check", "expected one or more files"},
        {"check --tolerence 1 x", "did you mean --tolerance?"},
        {"check x --form spiral", "expected recurrent, parallel, chunkwise or auto, got spiral"},
        {"check x --backend gpu", "expected auto, cpu or onednn, got gpu"},
        {"check x --tolerance -1", "[tolerance] expected a number above 0, got -1\n"},
        {"check x --tolerance=0", "[tolerance] expected a number above 0, got 0\n"},
        {"check x --tolerance nan", "[tolerance] expected a number above 0, got nan\n"},
        {"check x --tolerance inf", "[tolerance] expected a number above 0, got inf\n"},
        {"check x --tolerance abc", "[tolerance] expected a number, got abc\n"},
        {"check x --tolerance 1e-4x", "[tolerance] expected a number, got 1e-4x\n"},
        {"check x --tolerance ''", "[tolerance] expected a number, got nothing\n"},
        {"bench step --threads abc", "[threads] expected a whole number, got abc\n"},
        {"bench step --threads=-1", "[threads] expected a number of at least 0 and at most 1024, got -1\n"},
        {"bench decode --positions 1,x", "[positions] expected a whole number, got x\n"},
        {"generate --model x --temperature nan", "[temperature] expected a number of at least 0"},
        {"inspect model --seq 1e99", "[seq] expected a whole number, got 1e99\n"},
        {"tokenize --input x --out y --vocab-size 1.5", "[data.vocab_size] expected a whole number, got 1.5\n"},
        {"train --overfit abc", "[train.overfit] expected a whole number, got abc\n"},
        {"check x --kernel matmul", "expected KERNEL=IMPLEMENTATION"},
        {"check x --kernel matmul=cuda", "expected one of onednn:bf16"},
        {"check x --kernel matmull=eigen",
         "[kernel] expected a known kernel, got matmull (did you mean matmul? 'blalm inspect kernels' lists all)\n"},
        {"check x --kernel conquer=eigen", "got conquer ('blalm inspect kernels' lists all)\n"},
        {"check x --backend cpu --kernel matmul=onednn:f32",
         "expected an implementation that the backend allows, got matmul=onednn:f32 (the backend is cpu)\n"},
        {"inspect everything", "expected model or kernels, got everything"},
        {"inspect", "expected model or kernels, got nothing"},
        {"inspect kernels now", "expected options only, got now"}}) {
    const Outcome o = run_blalm(arguments);
    const std::string line = arguments;  // clang++ 14 captures no structured binding
    INFO(line);
    CHECK_MESSAGE(o.exit_code == 2, o.output);
    CHECK_MESSAGE(contains(o, words), o.output);
    CHECK(std::count(o.output.begin(), o.output.end(), '\n') == 1);
  }
}

TEST_CASE("inspect kernels lists every implementation") {
  const Outcome o = run_blalm("inspect kernels");
  CHECK(o.exit_code == 0);
  CHECK(contains(o, "onednn:bf16"));
  CHECK(contains(o, "reference"));
}

}  // namespace blalm
