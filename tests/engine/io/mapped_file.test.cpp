#include "engine/io/mapped_file.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdio>
#include <functional>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/io/input_file.h"
#include "tests/engine/io/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

std::string error_of_mapping(const std::filesystem::path& path) {
  return message_of<DataError>([&] { MappedFile file(path); });
}

}  // namespace

TEST_CASE("a mapped file shows the bytes of the file") {
  TempFolder folder;
  std::string content(100'000, '\0');  // several pages, not a whole number of them
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 % 251);
  write_plainly(folder / "data.bin", content);

  const MappedFile file(folder / "data.bin");
  CHECK(file.path() == folder / "data.bin");
  CHECK(file.size() == content.size());
  CHECK(file.text() == content);
  CHECK(file.bytes()[4097] == static_cast<std::byte>(content[4097]));
}

TEST_CASE("an empty file maps to no bytes") {
  TempFolder folder;
  write_plainly(folder / "empty", "");
  const MappedFile file(folder / "empty");
  CHECK(file.size() == 0);
  CHECK(file.bytes().empty());
  CHECK(file.text().empty());
}

TEST_CASE("moving hands the mapping over") {
  TempFolder folder;
  write_plainly(folder / "a", "first");
  write_plainly(folder / "b", "second");
  MappedFile a(folder / "a");
  const std::byte* address = a.bytes().data();
  MappedFile moved(std::move(a));
  CHECK(moved.bytes().data() == address);
  CHECK(moved.text() == "first");
  moved = MappedFile(folder / "b");
  CHECK(moved.text() == "second");
  CHECK(moved.path() == folder / "b");
}

TEST_CASE("what cannot be read is named in a DataError") {
  TempFolder folder;
  const std::string missing = error_of_mapping(folder / "missing.txt");
  CHECK(has(missing, "missing.txt"));
  CHECK(has(missing, "No such file"));

  const std::string directory = error_of_mapping(folder.path());
  CHECK(has(directory, folder.path().string()));
  CHECK(has(directory, "got a directory"));

  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(has(error_of_mapping(folder / "pipe"), "got a pipe or device"));  // and does not wait for a writer
  CHECK(has(error_of_mapping("/dev/zero"), "got a pipe or device"));
  CHECK(has(error_of_mapping(""), "No such file"));

  write_plainly(folder / "secret", "x");
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  const AsUnprivileged user;
  CHECK(has(error_of_mapping(folder / "secret"), "Permission denied"));
}

namespace {

struct Ended {
  int status = 0;
  std::string said;
};

// What becomes of a process that does this, and what it writes to standard error.
Ended in_child(const TempFolder& folder, const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (std::freopen((folder / "said").c_str(), "w", stderr) == nullptr) ::_exit(98);
    action();
    ::_exit(0);
  }
  Ended ended;
  ::waitpid(child, &ended.status, 0);
  ended.said = read_plainly(folder / "said");
  return ended;
}

unsigned touch(const MappedFile& file, std::size_t at) {
  return static_cast<unsigned>(*static_cast<const volatile std::byte*>(file.bytes().data() + at));
}

}  // namespace

TEST_CASE("a file that becomes shorter while it is mapped is named, and nothing else is taken for that") {
  TempFolder folder;
  const std::string content(40'000, 'x');
  const auto cut = [&](const char* name, std::uintmax_t size) { std::filesystem::resize_file(folder / name, size); };
  for (const char* name : {"a", "b"}) write_plainly(folder / name, content);
  const std::string named = "blalm: [io] expected the 40000 bytes of '" + (folder / "b").string() +
                            "', got a file that became shorter, or cannot be read any more (nothing may write into a "
                            "file that is in use)\n";
  // At once and after others came and went, the only one or one of many, moved or not, cut to nothing or to a page.
  const std::vector<std::function<void()>> deaths = {[&] {
                                                       const MappedFile b(folder / "b");
                                                       cut("b", 0);
                                                       touch(b, 0);
                                                     },
                                                     [&] {
                                                       std::vector<MappedFile> many;
                                                       for (int i = 0; i < 100; ++i) many.emplace_back(folder / "a");
                                                       many.resize(50);
                                                       MappedFile b(folder / "b");
                                                       const MappedFile moved = std::move(b);
                                                       cut("b", 4096);
                                                       touch(moved, 100);
                                                       touch(many[7], 39'999);
                                                       touch(moved, 39'999);
                                                     }};
  for (const auto& death : deaths) {
    write_plainly(folder / "b", content);
    const Ended ended = in_child(folder, death);
    CHECK(ended.said == named);
    CHECK((WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 3));
  }
  // A mapping that is gone, and one that is not ours.
  write_plainly(folder / "b", content);
  const Ended other = in_child(folder, [&] {
    { const MappedFile gone(folder / "b"); }
    const InputFile file(folder / "b");
    void* address = ::mmap(nullptr, content.size(), PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
    cut("b", 0);
    static_cast<void>(*static_cast<const volatile char*>(address));
  });
  // Whoever handled it before ends the program: the system by the signal, or a sanitizer by its report.
  CHECK((WIFSIGNALED(other.status) || (WEXITSTATUS(other.status) != 0 && WEXITSTATUS(other.status) != 3)));
  CHECK_FALSE(has(other.said, "[io]"));
}
