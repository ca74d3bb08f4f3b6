#include "engine/kernels/kernel.h"

#include <fmt/format.h>

#include <cassert>
#include <mutex>

#include "engine/core/error.h"
#include "engine/core/fields.h"

namespace blalm {
namespace {

// The process default is read by every kernel call of every thread, and written hardly ever: readers follow a pointer
// to a policy that never changes and never goes.
const KernelPolicy first_policy{};
std::atomic<const KernelPolicy*> default_policy{&first_policy};

// A thread follows the process default until a guard gives it a policy of its own.
thread_local std::unique_ptr<KernelPolicy> thread_policy;

const KernelBase& kernel_named(const std::string& name) {
  std::vector<std::string> names;
  for (const KernelBase* k : all_kernels()) {
    if (k->name() == name) return *k;
    names.emplace_back(k->name());
  }
  const std::string near = nearest(name, names);
  throw ConfigError(expected_got(
      "kernel", "a known kernel", name,
      (near.empty() ? "" : "did you mean " + near + "? ") + std::string("'blalm inspect kernels' lists all")));
}

std::size_t index_of(const KernelBase& kernel, const std::string& implementation) {
  std::string names;
  for (std::size_t i = 0; i < kernel.entries().size(); ++i) {
    const std::string_view name = kernel.entries()[i].name;
    if (name == implementation) return i;
    names += (i == 0 ? "" : ", ") + std::string(name);
  }
  throw ConfigError(expected_got(fmt::format("kernel {}", kernel.name()), "one of " + names, implementation));
}

// "onednn" of "onednn:bf16".
std::string_view backend_of(std::string_view implementation) {
  return implementation.substr(0, implementation.find(':'));
}
bool is_onednn(std::string_view implementation) { return backend_of(implementation) == "onednn"; }
bool is_own_tiles(std::string_view implementation) {
  return backend_of(implementation) == "amx" || backend_of(implementation) == "avx512";
}

}  // namespace

const KernelPolicy& kernel_policy() {
  return thread_policy ? *thread_policy : *default_policy.load(std::memory_order_acquire);
}

void check_kernel_policy(const KernelPolicy& policy) {
  for (const auto& [kernel, implementation] : policy.forced) {
    const KernelBase& k = kernel_named(kernel);
    const KernelBase::Entry& entry = k.entries()[index_of(k, implementation)];
    if (const Reason reason = k.excluded(policy, entry))
      throw ConfigError(expected_got("kernel", "an implementation that the backend allows",
                                     fmt::format("{}={}", kernel, implementation), reason));
  }
}

void set_default_kernel_policy(const KernelPolicy& policy) {
  check_kernel_policy(policy);
  static std::mutex mutex;
  static auto& all = *new std::vector<std::unique_ptr<const KernelPolicy>>;
  const std::lock_guard lock(mutex);
  all.push_back(std::make_unique<const KernelPolicy>(policy));
  default_policy.store(all.back().get(), std::memory_order_release);
}

KernelChoice::KernelChoice(KernelPolicy policy) {
  check_kernel_policy(policy);
  previous_ = std::move(thread_policy);
  thread_policy = std::make_unique<KernelPolicy>(std::move(policy));
}

KernelChoice::~KernelChoice() { thread_policy = std::move(previous_); }

std::vector<std::string> forced_but_idle(const KernelPolicy& policy) {
  std::vector<std::string> idle;
  for (const auto& [kernel, implementation] : policy.forced) {
    const KernelBase& k = kernel_named(kernel);
    if (k.runs(index_of(k, implementation)) == 0) idle.push_back(fmt::format("{}={}", kernel, implementation));
  }
  return idle;
}

Backend parse_backend(std::string_view name) {
  if (name == "auto") return Backend::automatic;
  if (name == "cpu") return Backend::cpu;
  if (name == "onednn") return Backend::onednn;
  throw ConfigError(expected_got("backend", "auto, cpu or onednn", name));
}

KernelBase::KernelBase(std::string_view name, std::vector<Entry> entries)
    : name_(name), entries_(std::move(entries)), runs_(new std::atomic<std::int64_t>[entries_.size()]()) {
  assert(entries_.size() <= kMaxEntries);
  for (const Entry& e : entries_) has_onednn_ = has_onednn_ || is_onednn(e.name);
}

Reason KernelBase::excluded(const KernelPolicy& policy, const Entry& entry) const {
  const bool onednn = is_onednn(entry.name);
  if (policy.backend == Backend::cpu && onednn) return "the backend is cpu";
  // What oneDNN has no line for, and f64, still has to run somewhere: the reference stays. Where a list has no line of
  // oneDNN's at all, only our own tiles go: products then reach oneDNN through the lists that have one.
  const bool other = has_onednn_ ? !onednn && entry.name != "reference" : is_own_tiles(entry.name);
  if (policy.backend == Backend::onednn && other) return "the backend is onednn";
  return nullptr;
}

std::string_view KernelBase::forced(const KernelPolicy& policy) const {
  for (const auto& [kernel, implementation] : policy.forced)
    if (kernel == name_) return implementation;
  return {};
}

KernelDeclined::KernelDeclined(std::string_view kernel, std::string_view implementation, Reason reason)
    : ConfigError(fmt::format("[{}] implementation {} was asked for but declines: {}", kernel, implementation, reason)),
      kernel_(kernel),
      implementation_(implementation) {}

void KernelBase::refuse_all(const Reasons& reasons) const {
  std::string text;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    text += fmt::format("{}{}: {}", i == 0 ? "" : "; ", entries_[i].name, reasons[i]);
  throw ConfigError(fmt::format("[{}] no implementation accepts these arguments ({})", name_, text));
}

}  // namespace blalm
