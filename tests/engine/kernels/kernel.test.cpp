#include "engine/kernels/kernel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>

#include "engine/core/error.h"
#include "engine/kernels/matmul.h"

namespace blalm {
namespace {

struct Args {
  int size;
};
int ran = -1;

const Kernel<Args> example{
    "example",
    {{"onednn:fast", [] { return Reason("no such processor"); }, accepts_all<Args>, [](const Args&) { ran = 0; }},
     {"eigen", always, [](const Args& a) { return a.size > 8 || a.size < 0 ? Reason("not 0 to 8") : nullptr; },
      [](const Args&) { ran = 1; }},
     {"reference", always, [](const Args& a) { return a.size < 0 ? Reason("negative") : nullptr; },
      [](const Args&) { ran = 2; }}}};

KernelPolicy forcing(const std::string& kernel, const std::string& implementation) {
  KernelPolicy p;
  p.forced.emplace_back(kernel, implementation);
  return p;
}

}  // namespace

TEST_CASE("the first implementation that does not object runs") {
  CHECK(example({4}) == "eigen");
  CHECK(ran == 1);
  CHECK(example({9}) == "reference");
  CHECK(ran == 2);
}

TEST_CASE("when all decline, the error gives every reason") {
  CHECK_THROWS_WITH_AS(example({-1}),
                       "[example] no implementation accepts these arguments (onednn:fast: no such processor; eigen: "
                       "not 0 to 8; reference: negative)",
                       ConfigError);
}

TEST_CASE("runs are counted an implementation") {
  const auto before = example.runs(2);
  example({100});
  CHECK(example.runs(2) == before + 1);
}

TEST_CASE("a forced implementation that declines says why") {
  const Tensor a = Tensor::zeros({2, 2}, DType::f64);
  const KernelChoice choice(forcing("matmul", "onednn:bf16"));
  CHECK_THROWS_WITH_AS(kernels::matmul({kernels::matrices(a), kernels::matrices(a), kernels::matrices(a.clone())}),
                       doctest::Contains("[matmul] implementation onednn:bf16 was asked for but declines: "),
                       ConfigError);
}

TEST_CASE("forcing what does not exist names what does") {
  CHECK_THROWS_WITH_AS(KernelChoice(forcing("matmul", "cuda")), doctest::Contains("expected one of onednn:bf16, "),
                       ConfigError);
  CHECK_THROWS_WITH_AS(
      KernelChoice(forcing("matmull", "eigen")),
      "[kernel] expected a known kernel, got matmull (did you mean matmul? 'blalm inspect kernels' lists all)",
      ConfigError);
}

TEST_CASE("forcing against the backend is refused") {
  KernelPolicy p = forcing("matmul", "onednn:f32");
  p.backend = Backend::cpu;
  CHECK_THROWS_WITH_AS(KernelChoice{p},
                       "[kernel] expected an implementation that the backend allows, got matmul=onednn:f32 (the "
                       "backend is cpu)",
                       ConfigError);
  p = forcing("matmul", "eigen");
  p.backend = Backend::onednn;
  CHECK_THROWS_AS(KernelChoice{p}, ConfigError);
  p = forcing("matmul", "reference");
  p.backend = Backend::onednn;
  CHECK_NOTHROW(KernelChoice{p});
}

TEST_CASE("what is forced and has not run is listed") {
  // Nothing else in this program drops out.
  KernelPolicy p = forcing("matmul", "reference");
  p.forced.emplace_back("dropout", "reference");
  const KernelChoice choice(p);
  const Tensor a = Tensor::zeros({2, 2});
  kernels::matmul({kernels::matrices(a), kernels::matrices(a), kernels::matrices(a.clone())});
  CHECK(forced_but_idle(p) == std::vector<std::string>{"dropout=reference"});
}

TEST_CASE("backends narrow the lists, within the guard's life") {
  const Tensor a = Tensor::full({2, 2}, 1.0), c = Tensor::zeros({2, 2});
  const kernels::MatmulArgs args{kernels::matrices(a), kernels::matrices(a), kernels::matrices(c)};
  const std::string_view usual = kernels::matmul(args);
  {
    KernelPolicy p;
    p.backend = Backend::cpu;
    const KernelChoice choice(p);
    CHECK(kernels::matmul(args) == "eigen");
    p.backend = Backend::onednn;
    const KernelChoice inner(p);
    const std::string_view name = kernels::matmul(args);
    CHECK((name == "onednn:f32" || name == "reference"));
  }
  CHECK(kernels::matmul(args) == usual);
  CHECK(c.at(0) == 2);
}

TEST_CASE("the process default may change while other threads run kernels") {
  struct Restore {
    ~Restore() { set_default_kernel_policy({}); }
  } restore;
  const KernelPolicy& before = kernel_policy();
  set_default_kernel_policy(forcing("matmul", "eigen"));
  CHECK(before.forced.empty());  // what a reader holds stays as it was
  CHECK(kernel_policy().forced.size() == 1);
  CHECK_THROWS_AS(set_default_kernel_policy(forcing("matmul", "cuda")), ConfigError);
  CHECK(kernel_policy().forced.size() == 1);

  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    const Tensor a = Tensor::full({2, 2}, 1.0), c = Tensor::zeros({2, 2});
    while (!stop) {
      const std::string_view name = kernels::matmul({kernels::matrices(a), kernels::matrices(a), kernels::matrices(c)});
      wrong += name != "eigen" && name != "reference";
    }
  });
  for (int i = 0; i < 2000; ++i) set_default_kernel_policy(forcing("matmul", i % 2 == 0 ? "reference" : "eigen"));
  stop = true;
  reader.join();
  CHECK(wrong == 0);
}

TEST_CASE("names of backends") {
  CHECK(parse_backend("onednn") == Backend::onednn);
  CHECK_THROWS_WITH_AS(parse_backend("gpu"), "[backend] expected auto, cpu or onednn, got gpu", ConfigError);
}

TEST_CASE("every kernel of the list has a name of its own and ends in a line that runs everywhere") {
  std::set<std::string_view> names;
  for (const KernelBase* k : all_kernels()) {
    CHECK(names.insert(k->name()).second);
    const std::string_view last = k->entries().back().name;
    CHECK((last.starts_with("reference") || last == "product"));
    CHECK(k->entries().back().unavailable() == nullptr);
  }
}

}  // namespace blalm
