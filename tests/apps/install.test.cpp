// What `cmake --install` leaves runs from anywhere, without the tree it came from.
#include <doctest/doctest.h>

#include "tests/apps/support.h"
#include "tests/support/paths.h"

namespace blalm {

TEST_SUITE("slow") {
  TEST_CASE("after cmake --install the program trains on the text that comes with it, and writes") {
    const testing::Folder folder;
    const testing::Outcome installed =
        testing::run_shell("cmake --install '" + testing::build_folder() + "' --prefix " + folder / "prefix" + " 2>&1");
    REQUIRE_MESSAGE(installed.exit_code == 0, installed.output);
    CHECK(std::filesystem::is_regular_file(folder.path / "prefix/share/blalm/samples/train.toml"));
    CHECK(std::filesystem::is_regular_file(folder.path / "prefix/share/blalm/samples/README.md"));  // attributions

    // In an empty folder, as a file of its own and through a link, as /usr/local/bin may hold one.
    std::filesystem::create_directories(folder.path / "elsewhere");
    std::filesystem::create_symlink(folder.path / "prefix/bin/blalm", folder.path / "blalm");
    const std::string go = "cd " + folder / "elsewhere" + " && ";
    const testing::Outcome dry = testing::run_shell(go + "../blalm train --dry-run 1 --train.valid_blocks 2 2>&1");
    CHECK_MESSAGE(dry.exit_code == 0, dry.output);
    CHECK(testing::contains(dry, "vocabulary 4000"));
    const testing::Outcome run = testing::run_shell(
        go + "../prefix/bin/blalm train --optim.steps 3 --train.valid_blocks 2 --train.sample_tokens 4 2>&1");
    CHECK_MESSAGE(run.exit_code == 0, run.output);
    CHECK(testing::contains(run, "step 0: held-out loss"));
    CHECK(testing::contains(run, "step 3: held-out loss"));
    const testing::Outcome text =
        testing::run_shell(go + "../prefix/bin/blalm generate --model runs/* --prompt 'Once upon a time' 2>&1");
    CHECK_MESSAGE(text.exit_code == 0, text.output);
    CHECK(testing::contains(text, "Once upon a time"));
  }
}

}  // namespace blalm
