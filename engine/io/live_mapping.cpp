#include "engine/io/live_mapping.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <string>

#include "engine/core/error.h"

namespace blalm {

// Slots are used again and never freed, so that the handler can walk over them at any time.
struct LiveMapping::Slot {
  std::atomic<const std::byte*> begin = nullptr;  // null: free; written last, and first when the slot becomes free
  std::atomic<std::size_t> size = 0;
  std::string line;  // what the handler writes: it may not make one
  Slot* next = nullptr;
};

namespace {

std::atomic<LiveMapping::Slot*> first_slot = nullptr;
static_assert(std::atomic<LiveMapping::Slot*>::is_always_lock_free);  // else no handler may read it
std::mutex slots_mutex;                                               // for those who change slots
struct sigaction previous_action;

void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto* address = static_cast<const std::byte*>(info->si_addr);
  for (const LiveMapping::Slot* slot = first_slot; slot != nullptr; slot = slot->next) {
    const std::byte* begin = slot->begin;
    if (begin == nullptr || address < begin || address >= begin + slot->size) continue;
    if (::write(STDERR_FILENO, slot->line.data(), slot->line.size()) < 0) ::_exit(static_cast<int>(ExitCode::kData));
    ::_exit(static_cast<int>(ExitCode::kData));
  }
  ::sigaction(signal, &previous_action, nullptr);  // what failed is tried again, under the action before ours
}

void handle_bus_errors() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, &previous_action);
  });
}

}  // namespace

LiveMapping::LiveMapping(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  handle_bus_errors();
  std::string line =
      fmt::format("blalm: {}\n", expected_got("io", fmt::format("the {} bytes of '{}'", bytes.size(), path.string()),
                                              "a file that became shorter, or cannot be read any more",
                                              "nothing may write into a file that is in use"));
  const std::lock_guard lock(slots_mutex);
  slot_ = first_slot;
  while (slot_ != nullptr && slot_->begin != nullptr) slot_ = slot_->next;
  const bool is_new = slot_ == nullptr;
  if (is_new) slot_ = new Slot;
  slot_->line = std::move(line);
  slot_->size = bytes.size();
  slot_->begin = bytes.data();
  if (!is_new) return;
  slot_->next = first_slot;
  first_slot = slot_;
}

LiveMapping::~LiveMapping() {
  const std::lock_guard lock(slots_mutex);
  slot_->begin = nullptr;
}

}  // namespace blalm
