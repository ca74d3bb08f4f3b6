#include "blalm/io/mapped_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <utility>

#include "blalm/core/error.h"
#include "tests/engine/io/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

std::string error_on(const std::filesystem::path& path) {
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
  const std::string missing = error_on(folder / "missing.txt");
  CHECK(has(missing, "missing.txt"));
  CHECK(has(missing, "No such file"));

  const std::string directory = error_on(folder.path());
  CHECK(has(directory, folder.path().string()));
  CHECK(has(directory, "got a directory"));

  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(has(error_on(folder / "pipe"), "got a pipe or device"));  // and does not wait for a writer
  CHECK(has(error_on("/dev/zero"), "got a pipe or device"));
  CHECK(has(error_on(""), "No such file"));

  write_plainly(folder / "secret", "x");
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  const AsUnprivileged user;
  CHECK(has(error_on(folder / "secret"), "Permission denied"));
}
