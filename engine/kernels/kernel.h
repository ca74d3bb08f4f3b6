// A kernel is an ordered list of implementations of one calculation. The first that does not object runs; each that
// objects says why. All lists stand in lists.cpp; a new backend is a folder and some lines there (design §4).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"

namespace blalm {

// A reason to decline; nullptr means "no objection".
using Reason = const char*;

// The policy forces an implementation that declines; the names are those of the lists.
class KernelDeclined : public ConfigError {
 public:
  KernelDeclined(std::string_view kernel, std::string_view implementation, Reason reason);
  std::string_view kernel() const { return kernel_; }
  std::string_view implementation() const { return implementation_; }

 private:
  std::string_view kernel_, implementation_;
};

enum class Backend { automatic, cpu, onednn };

// Which lines of the lists may run on this thread. Set by KernelChoice guards; the default allows all.
struct KernelPolicy {
  Backend backend = Backend::automatic;
  bool composed = false;  // ops run their composed definitions instead of fused kernels
  std::vector<std::pair<std::string, std::string>> forced;  // kernel name -> implementation name
};

// The policy of the calling thread: its KernelChoice, or else the process default.
const KernelPolicy& kernel_policy();
// ConfigError for a kernel or implementation that does not exist, and for one that is forced against the backend.
void check_kernel_policy(const KernelPolicy& policy);
// Sets the process default, which threads see at their next kernel. Checks it first.
void set_default_kernel_policy(const KernelPolicy& policy);

// While alive, the calling thread runs under another policy, which is checked first.
class KernelChoice {
 public:
  explicit KernelChoice(KernelPolicy policy);
  ~KernelChoice();
  KernelChoice(const KernelChoice&) = delete;
  KernelChoice& operator=(const KernelChoice&) = delete;

 private:
  std::unique_ptr<KernelPolicy> previous_;
};

// What the policy forces and nothing in this process has run, as "rope=reference".
std::vector<std::string> forced_but_idle(const KernelPolicy& policy);

Backend parse_backend(std::string_view name);  // "auto", "cpu", "onednn"; else ConfigError

// What is common to all kernels, whatever their arguments.
class KernelBase {
 public:
  struct Entry {
    std::string_view name;    // "backend:variant" or "reference"
    Reason (*unavailable)();  // why it cannot run on this machine or in this build
  };

  std::string_view name() const { return name_; }
  const std::vector<Entry>& entries() const { return entries_; }
  // How often an implementation ran in this process.
  std::int64_t runs(std::size_t index) const { return runs_[index].load(std::memory_order_relaxed); }
  // Why the policy's backend rules an entry out, or nullptr.
  Reason excluded(const KernelPolicy& policy, const Entry& entry) const;

 protected:
  KernelBase(std::string_view name, std::vector<Entry> entries);
  KernelBase(const KernelBase&) = delete;
  KernelBase& operator=(const KernelBase&) = delete;
  ~KernelBase() = default;

  static constexpr std::size_t kMaxEntries = 12;
  using Reasons = std::array<Reason, kMaxEntries>;

  // The implementation that the policy forces for this kernel, or empty.
  std::string_view forced(const KernelPolicy& policy) const;
  [[noreturn]] void refuse_all(const Reasons& reasons) const;

  std::string_view name_;
  std::vector<Entry> entries_;
  std::unique_ptr<std::atomic<std::int64_t>[]> runs_;
  bool has_onednn_ = false;
};

// Every kernel of the engine, in the order of lists.cpp: for listings, tests and the check of --kernel.
const std::vector<const KernelBase*>& all_kernels();

// "Runs everywhere" and "takes anything", for the lists.
inline Reason always() { return nullptr; }
template <class Args>
Reason accepts_all(const Args&) {
  return nullptr;
}

template <class Args>
struct Implementation {
  std::string_view name;
  Reason (*unavailable)();
  Reason (*declines)(const Args&);
  void (*run)(const Args&);
};

template <class Args>
class Kernel : public KernelBase {
 public:
  Kernel(std::string_view name, std::initializer_list<Implementation<Args>> list)
      : KernelBase(name, entries_of(list)), list_(list) {}
  // One of those that all_kernels() gives, `all`.
  Kernel(std::vector<const KernelBase*>& all, std::string_view name, std::initializer_list<Implementation<Args>> list)
      : Kernel(name, list) {
    all.push_back(this);
  }
  // The same with one implementation, "reference", which takes everything.
  Kernel(std::vector<const KernelBase*>& all, std::string_view name, void (*run)(const Args&))
      : Kernel(all, name, {{"reference", always, accepts_all<Args>, run}}) {}

  // Runs the first implementation that does not object; returns its name. Throws KernelDeclined when the policy forces
  // one that declines, ConfigError when all decline.
  std::string_view operator()(const Args& args) const {
    const KernelPolicy& policy = kernel_policy();
    const std::string_view wanted = forced(policy);
    Reasons reasons{};
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (!wanted.empty() && entries_[i].name != wanted) continue;
      Reason reason = wanted.empty() ? excluded(policy, entries_[i]) : nullptr;
      if (reason == nullptr) reason = list_[i].unavailable();
      if (reason == nullptr) reason = list_[i].declines(args);
      if (reason == nullptr) {
        list_[i].run(args);
        runs_[i].fetch_add(1, std::memory_order_relaxed);
        return list_[i].name;
      }
      if (!wanted.empty()) throw KernelDeclined(name_, entries_[i].name, reason);
      reasons[i] = reason;
    }
    refuse_all(reasons);
  }

 private:
  static std::vector<Entry> entries_of(std::initializer_list<Implementation<Args>> list) {
    std::vector<Entry> entries;
    for (const auto& i : list) entries.push_back({i.name, i.unavailable});
    return entries;
  }
  std::vector<Implementation<Args>> list_;
};

}  // namespace blalm
