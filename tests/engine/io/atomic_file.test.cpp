#include "engine/io/atomic_file.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>
#include <vector>

#include "engine/core/error.h"
#include "engine/io/mapped_file.h"
#include "tests/engine/io/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

// A disk with room for `bytes` bytes a file: the system refuses to write any further, in the middle of a write as a
// full disk does. Nothing else may be written while it lives, test output included.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    signal_ = ::signal(SIGXFSZ, SIG_IGN);
    if (::getrlimit(RLIMIT_FSIZE, &limit_) != 0) throw std::runtime_error("getrlimit");
    const rlimit small{bytes, limit_.rlim_max};
    if (::setrlimit(RLIMIT_FSIZE, &small) != 0) throw std::runtime_error("setrlimit");
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &limit_);
    ::signal(SIGXFSZ, signal_);
  }

 private:
  rlimit limit_{};
  void (*signal_)(int) = nullptr;
};

std::string error_of_writing(const std::filesystem::path& path) {
  return message_of<DataError>([&] { write_file_atomically(path, "text"); });
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a file is written whole and nothing else is left") {
  TempFolder folder;
  write_file_atomically(folder / "a", "first");
  CHECK(read_plainly(folder / "a") == "first");
  write_file_atomically(folder / "a", "");
  CHECK(read_plainly(folder / "a").empty());
  CHECK(folder.listing() == std::set<std::string>{"a"});
}

TEST_CASE("pieces of any size arrive in order") {
  TempFolder folder;
  std::string content;
  AtomicFile file(folder / "pieces");
  for (const std::size_t size :
       std::initializer_list<std::size_t>{1, 0, 7, 70'000, 3, 65'535, 1, 65'536, 65'537, 200'000, 5}) {
    const std::string piece(size, static_cast<char>('a' + content.size() % 26));
    content += piece;
    file.append(piece);
    CHECK_FALSE(std::filesystem::exists(folder / "pieces"));
  }
  file.commit();
  CHECK(read_plainly(folder / "pieces") == content);
}

TEST_CASE("without commit the previous file stays and the temporary one goes") {
  TempFolder folder;
  write_plainly(folder / "a", "previous");
  {
    AtomicFile file(folder / "a");
    file.append(std::string(1'000'000, 'x'));
    CHECK(folder.listing().size() == 2);
  }
  CHECK(read_plainly(folder / "a") == "previous");
  CHECK(folder.listing() == std::set<std::string>{"a"});
}

TEST_CASE("a full disk keeps the previous file and is told with name and reason") {
  TempFolder folder;
  write_plainly(folder / "model", "previous");
  // 1 MB fails in append(); 300 bytes wait in the buffer, so that commit() meets the full disk.
  for (const std::size_t size : std::initializer_list<std::size_t>{1'000'000, 300}) {
    CAPTURE(size);
    std::string message;
    {
      const FullDisk disk(100);
      message = message_of<DataError>([&] { write_file_atomically(folder / "model", std::string(size, 'x')); });
    }
    CHECK(has(message, fmt::format("'{}'", (folder / "model").string())));
    CHECK(has(message, "File too large"));
    CHECK(read_plainly(folder / "model") == "previous");
    CHECK(folder.listing() == std::set<std::string>{"model"});
  }
  {
    const FullDisk disk(100);
    write_file_atomically(folder / "model", std::string(100, 'y'));
  }
  CHECK(read_plainly(folder / "model") == std::string(100, 'y'));
}

TEST_CASE("a file that failed cannot be committed") {
  TempFolder folder;
  AtomicFile file(folder / "a");
  {
    const FullDisk disk(10);
    CHECK_THROWS_AS(file.append(std::string(1'000'000, 'x')), DataError);
  }
  file.append("y");
  CHECK_THROWS_AS(file.commit(), DataError);
  CHECK(folder.listing().empty());
}

TEST_CASE("places that cannot be written are named in a DataError") {
  TempFolder folder;
  const std::string missing = error_of_writing(folder / "missing" / "a");
  CHECK(has(missing, (folder / "missing" / "a").string()));
  CHECK(has(missing, "No such file"));
  CHECK(has(error_of_writing(folder.path()), "got a directory"));
  CHECK(has(error_of_writing(folder.path() / ""), "without a file name"));
  CHECK(has(error_of_writing(""), "without a file name"));
  // A pipe of our own stands for devices too: were the check to fail on /dev/null, root would lose it to the rename.
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(has(error_of_writing(folder / "pipe"), "got a pipe or device"));
  CHECK(std::filesystem::is_fifo(folder / "pipe"));
  CHECK(has(error_of_writing(folder / std::string(300, 'n')), "File name too long"));
  write_plainly(folder / "file", "x");
  CHECK(has(error_of_writing(folder / "file" / "a"), "Not a directory"));
  std::filesystem::create_symlink(folder / "loop", folder / "loop");
  CHECK(has(error_of_writing(folder / "loop"), "Too many levels"));
  CHECK(folder.listing() == std::set<std::string>{"file", "loop", "pipe"});

  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  std::string denied;
  {
    const AsUnprivileged user;
    denied = error_of_writing(folder / "file");
  }
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  CHECK(has(denied, "Permission denied"));
  CHECK(read_plainly(folder / "file") == "x");
}

TEST_CASE("permission bits are those of the file before, or of any new file") {
  TempFolder folder;
  write_plainly(folder / "usual", "");
  write_file_atomically(folder / "new", "x");
  CHECK(mode_of(folder / "new") == mode_of(folder / "usual"));
  std::filesystem::permissions(folder / "new", std::filesystem::perms(0640));
  write_file_atomically(folder / "new", "y");
  CHECK(mode_of(folder / "new") == 0640);
}

TEST_CASE("a link stays a link, and its target is written") {
  TempFolder folder;
  std::filesystem::create_directory(folder / "elsewhere");
  write_plainly(folder / "elsewhere" / "a", "previous");
  std::filesystem::create_symlink("elsewhere/a", folder / "link");
  write_file_atomically(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_plainly(folder / "elsewhere" / "a") == "new");
  CHECK(folder.listing() == std::set<std::string>{"elsewhere", "link"});

  std::filesystem::create_symlink("nowhere", folder / "dangling");
  CHECK(has(error_of_writing(folder / "dangling"), "No such file"));
}

TEST_CASE("a link that is to be replaced becomes a file, and its target is left alone") {
  TempFolder folder;
  write_plainly(folder / "elsewhere", "old");
  for (const char* target : {"elsewhere", "nowhere", "link"}) {
    CAPTURE(target);
    std::filesystem::create_symlink(target, folder / "link");
    write_file_atomically(folder / "link", "new", Links::replace);
    CHECK_FALSE(std::filesystem::is_symlink(folder / "link"));
    CHECK(read_plainly(folder / "link") == "new");
    CHECK(read_plainly(folder / "elsewhere") == "old");
    std::filesystem::remove(folder / "link");
  }
}

TEST_CASE("temporary files of killed processes go; those that are being written, and all others, stay") {
  TempFolder folder;
  for (const char* name : {".blalm-1-0.tmp", ".blalm-999999-17.tmp", "other.tmp", ".blalm-notes"})
    write_plainly(folder / name, "x");
  AtomicFile file(folder / "a");
  file.append("whole");
  remove_leftover_files(folder.path());
  file.commit();
  CHECK(read_plainly(folder / "a") == "whole");
  CHECK(folder.listing() == std::set<std::string>{"a", "other.tmp", ".blalm-notes"});
  remove_leftover_files(folder / "nowhere");
}

TEST_CASE("readers see the old content or the new one, whoever writes") {
  TempFolder folder;
  constexpr std::size_t kSize = 300'000;
  write_plainly(folder / "shared", std::string(kSize, 'a'));
  const MappedFile before(folder / "shared");

  std::atomic<bool> done = false;
  std::atomic<int> reads = 0, torn = 0;
  std::thread reader([&] {
    while (!done) {
      const MappedFile file(folder / "shared");
      const bool whole = file.size() == kSize && file.text().find_first_not_of(file.text()[0]) == std::string::npos;
      torn += whole ? 0 : 1;
      reads += 1;
    }
  });
  std::vector<std::thread> writers;
  for (const char letter : {'b', 'c', 'd'})
    writers.emplace_back([&, letter] {
      for (int i = 0; i < 5; ++i) write_file_atomically(folder / "shared", std::string(kSize, letter));
    });
  for (std::thread& writer : writers) writer.join();
  done = true;
  reader.join();

  CHECK(reads > 0);
  CHECK(torn == 0);
  CHECK(read_plainly(folder / "shared")[0] != 'a');
  CHECK(folder.listing() == std::set<std::string>{"shared"});
  CHECK(before.text() == std::string(kSize, 'a'));  // a mapping holds on to the file that was replaced
}
