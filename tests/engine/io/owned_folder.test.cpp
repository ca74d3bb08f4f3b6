#include "engine/io/owned_folder.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "engine/core/error.h"
#include "tests/engine/io/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

namespace fs = std::filesystem;

std::string refusal(const fs::path& path) {
  return message_of<DataError>([&] { const OwnedFolder folder(path, "here"); });
}

}  // namespace

TEST_CASE("a folder that is made goes again with those above it, unless it is kept; what was there stays") {
  TempFolder folder;
  for (const char* name : {"a", "a/b/c", "a/b/", "a/.", "a/../b", "a//b/../c"}) {
    CAPTURE(name);
    {
      const OwnedFolder owned(folder / name, "here");
      write_plainly(owned.path() / "file", "x");
      CHECK(fs::exists(folder / name));
    }
    CHECK(folder.listing().empty());
  }
  {
    const OwnedFolder owned(folder / "a/b/c", "here");
    write_plainly(folder / "a/other", "x");  // of somebody else
  }
  CHECK(fs::exists(folder / "a/other"));
  CHECK_FALSE(fs::exists(folder / "a/b"));
  { const OwnedFolder there(folder / "a", "here"); }
  CHECK(fs::exists(folder / "a/other"));
  {
    OwnedFolder owned(folder / "a/b/c", "here");
    owned.keep();
  }
  CHECK(fs::exists(folder / "a/b/c"));
}

TEST_CASE("a folder has one owner at a time, and who is refused takes nothing away") {
  TempFolder folder;
  std::optional<OwnedFolder> first(std::in_place, folder / "a/b", "here");
  CHECK(refusal(folder / "a/b") == "[here] expected '" + (folder / "a/b").string() +
                                       "' for this process alone, got another process that writes there (wait for it, "
                                       "or name another folder)");
  CHECK(fs::exists(folder / "a/b"));
  CHECK(refusal(folder / "a") == "nothing was thrown");  // the folder above is another
  CHECK(fs::exists(folder / "a/b"));
  first.reset();
  CHECK(refusal(folder / "a/b") == "nothing was thrown");
  CHECK(folder.listing().empty());
}

TEST_CASE("a folder that is read has no owner, and one that is owned no readers until it is shared") {
  TempFolder folder;
  std::optional<OwnedFolder> owner(std::in_place, folder / "a", "here");
  const auto reads = [&] { return message_of<DataError>([&] { const ReadFolder read(folder / "a", "here"); }); };
  CHECK(reads() == "[here] expected '" + (folder / "a").string() +
                       "' at rest, got another process that writes there "
                       "(wait for it)");
  owner->keep();
  owner->share();
  CHECK(reads() == "nothing was thrown");
  owner.reset();
  {
    const ReadFolder one(folder / "a", "here"), another(folder / "a", "here");
    CHECK(refusal(folder / "a") == "[here] expected '" + (folder / "a").string() +
                                       "' for this process alone, got another process that reads it (wait for it, or "
                                       "name another folder)");
  }
  CHECK(refusal(folder / "a") == "nothing was thrown");
  const ReadFolder nowhere(folder / "nowhere", "here");
}

TEST_CASE("a folder that cannot be written is named with the reason, and what was made on the way goes") {
  TempFolder folder;
  write_plainly(folder / "file", "");
  const auto expected = [](const fs::path& path, const std::string& reason) {
    return "[here] expected a folder that can be written, '" + path.string() + "', got '" + reason + "'";
  };
  CHECK(refusal(folder / "file") == expected(folder / "file", "Not a directory"));
  CHECK(refusal(folder / "file/a") == expected(folder / "file/a", "Not a directory"));
  CHECK(refusal("") == expected("", "No such file or directory"));
  const fs::path long_name = folder / ("a/b/" + std::string(300, 'x'));
  CHECK(refusal(long_name) == expected(long_name, "File name too long"));
  CHECK(folder.listing() == std::set<std::string>{"file"});

  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  fs::create_directory(folder / "locked");
  REQUIRE(::chmod((folder / "locked").c_str(), 0555) == 0);
  const AsUnprivileged nobody;
  CHECK(refusal(folder / "locked") == expected(folder / "locked", "Permission denied"));
  CHECK(refusal(folder / "locked/a") == expected(folder / "locked/a", "Permission denied"));
}

TEST_CASE(
    "a temporary folder has a name of its own, follows no link, is for its user alone, and goes, also after a kill") {
  TempFolder folder;
  std::filesystem::create_directory(folder / "victim");
  write_plainly(folder / "victim" / "data.json", "precious");
  std::filesystem::create_directory_symlink(folder / "victim", folder / "dry-run-abcdef");
  write_plainly(folder / "dry-run-file", "x");
  const char* before = std::getenv("TMPDIR");
  const std::string old = before == nullptr ? "" : before;
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  const std::set<std::string> planted = folder.listing();
  std::filesystem::path killed;
  {
    const OwnedFolder one(OwnedFolder::Temporary{"dry-run"}, "test"), two(OwnedFolder::Temporary{"dry-run"}, "test");
    CHECK(one.path() != two.path());
    CHECK(one.path().parent_path() == folder.path());
    CHECK(std::filesystem::status(one.path()).permissions() == std::filesystem::perms::owner_all);
    write_plainly(one.path() / "x", "x");
    const pid_t child = ::fork();
    if (child == 0) {
      const OwnedFolder three(OwnedFolder::Temporary{"dry-run"}, "test");
      write_plainly(folder / "name", three.path().string());
      write_plainly(three.path() / "x", "x");
      ::_exit(0);  // without a word, as one that is killed
    }
    ::waitpid(child, nullptr, 0);
    killed = read_plainly(folder / "name");
    CHECK(std::filesystem::exists(killed / "x"));
    const OwnedFolder four(OwnedFolder::Temporary{"dry-run"}, "test");
    CHECK_FALSE(std::filesystem::exists(killed));
    CHECK(std::filesystem::exists(one.path() / "x"));
  }
  std::filesystem::remove(folder / "name");
  CHECK(folder.listing() == planted);
  CHECK(read_plainly(folder / "victim" / "data.json") == "precious");
  ::setenv("TMPDIR", (folder / "missing").c_str(), 1);
  CHECK(has(message_of<DataError>([] { OwnedFolder(OwnedFolder::Temporary{"dry-run"}, "test"); }),
            "[test] expected a folder for temporary files, as TMPDIR names it, got '"));
  if (before == nullptr)
    ::unsetenv("TMPDIR");
  else
    ::setenv("TMPDIR", old.c_str(), 1);
}
