#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "engine/kernels/kernel.h"
#include "tests/engine/ops/census_list.h"
#include "tests/support/paths.h"

namespace blalm::census {
namespace {

// Names of the ops that ops.h declares.
std::set<std::string> declared_ops() {
  std::ifstream in(testing::source_folder() + "/engine/ops/ops.h");
  REQUIRE(in.good());
  const std::regex declaration(R"(^(?:Var|Tensor|std::vector<Var>) (\w+)\()");
  std::set<std::string> names;
  for (std::string line; std::getline(in, line) && line != "namespace blalm::ops::composed {";)
    if (std::smatch match; std::regex_search(line, match, declaration)) names.insert(match[1]);
  return names;
}

#define BLALM_ENTRY(name) name,
constexpr std::vector<OpCensus> (*kAll[])() = {BLALM_CENSUSES(BLALM_ENTRY)};
#undef BLALM_ENTRY

}  // namespace

// BLALM_CENSUS=rms_norm runs one op alone (and skips the completeness checks).
TEST_CASE("census") {
  const char *only = std::getenv("BLALM_CENSUS"), *elements = std::getenv("BLALM_CENSUS_ELEMENTS");
  const std::int64_t each = elements != nullptr ? std::atoll(elements) : 64;
  std::set<std::string> seen;
  for (const auto list : kAll)
    for (const OpCensus& op : list()) {
      if (only != nullptr && op.op != only) continue;
      run(op, each);
      seen.insert(op.op);
    }
  if (only != nullptr) {
    CHECK_MESSAGE(seen.size() == 1, "no op is named " << std::string(only));
    return;
  }
  for (const std::string& name : declared_ops()) CHECK_MESSAGE(seen.contains(name), "op " << name << " has no census");
  for (const KernelBase* kernel : all_kernels())
    for (const auto& entry : kernel->entries())
      if (const Reason reason = entry.unavailable())
        MESSAGE("not compared here: " << kernel->name() << "=" << entry.name << ", " << reason);
      else
        CHECK_MESSAGE(compared(kernel->name(), entry.name), "no case reaches " << kernel->name() << "=" << entry.name);
}

TEST_SUITE("slow") {
TEST_CASE("census: gradients, every element") {
  for (const auto list : kAll)
    for (const OpCensus& op : list()) run_gradcheck(op, 512);
}
}

}  // namespace blalm::census
