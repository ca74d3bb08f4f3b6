#include "models/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/core/error.h"

namespace blalm {
namespace {

constexpr std::int64_t kWeightBytes = 4;

struct Totals {
  std::int64_t parameters = 0;
  double flops = 0;
};

Totals totals(const Module& m, std::int64_t length) {
  Totals t{0, m.flops(length)};
  for (const ShapedParameter& p : m.own_parameters()) t.parameters += p.shape.numel();
  for (const Module* child : m.children()) {
    const Totals c = totals(*child, length);
    t.parameters += c.parameters;
    t.flops += c.flops;
  }
  return t;
}

std::string_view name_of(Role role) {
  switch (role) {
    case Role::matrix: return "matrix";
    case Role::embedding: return "embedding";
    case Role::vector: return "vector";
    case Role::gate: return "gate";
    case Role::scalar: return "scalar";
    case Role::convolution: return "convolution";
  }
  return "";
}

// 1234567 as "1,234,567".
std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (auto i = static_cast<std::int64_t>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<std::size_t>(i), 1, ',');
  return digits;
}

// With one of the units "", k, M, G, T: "12.3 M".
std::string rounded(double x) {
  for (const char* unit : {"", " k", " M", " G"}) {
    if (x < 1000) return fmt::format("{:.{}f}{}", x, *unit == '\0' || x >= 100 ? 0 : 1, unit);
    x /= 1000;
  }
  return fmt::format("{:.1f} T", x);
}

void line(std::string& text, int depth, std::string_view name, std::string_view shape, std::string_view role,
          const Totals& t) {
  const std::string label = std::string(static_cast<std::size_t>(2 * depth), ' ') + std::string(name);
  std::string row =
      fmt::format("{:<38}{:<16}{:<13}{:>12}{:>12}{:>13}", label, shape, role, grouped(t.parameters),
                  rounded(static_cast<double>(t.parameters * kWeightBytes)), t.flops > 0 ? rounded(t.flops) : "");
  row.erase(row.find_last_not_of(' ') + 1);
  text += row + "\n";
}

// A module that has neither parameters nor work is a feature that is off.
bool is_off(const Module& m, std::int64_t length) {
  const Totals t = totals(m, length);
  return t.parameters == 0 && t.flops == 0;
}

void tree(std::string& text, const Module& m, int depth, const DescribeOptions& options) {
  for (const ShapedParameter& p : m.own_parameters())
    line(text, depth, p.parameter->name.substr(m.path().empty() ? 0 : m.path().size() + 1), p.shape.str(),
         name_of(p.parameter->role), {p.shape.numel(), 0});
  std::int64_t alike = 0;
  for (std::size_t i = 0; i < m.children().size(); ++i) {
    const Module& child = *m.children()[i];
    if (is_off(child, options.length)) continue;
    const bool is_layer = dynamic_cast<const Layer*>(&child) != nullptr;
    if (is_layer && !options.all_layers && i > 0 && dynamic_cast<const Layer*>(m.children()[i - 1]) != nullptr) {
      ++alike;
      const bool last = i + 1 == m.children().size() || dynamic_cast<const Layer*>(m.children()[i + 1]) == nullptr;
      if (!last) continue;
      Totals t = totals(child, options.length);
      t.parameters *= alike;
      t.flops *= static_cast<double>(alike);
      line(text, depth, fmt::format("{} more like it", alike), "", "", t);
      continue;
    }
    line(text, depth, child.name(), "", "", totals(child, options.length));
    tree(text, child, depth + 1, options);
  }
}

// At most, or a position of what has no bound.
std::int64_t state_bytes(const LanguageModel& model, bool unbounded) {
  std::int64_t numbers = 0;
  for (const StateSlot& s : model.state_slots())
    if (s.unbounded() == unbounded) numbers += unbounded ? s.shape.with(0, 1).numel() : s.shape.numel();
  return numbers * kWeightBytes;
}

}  // namespace

std::string describe(const LanguageModel& model, const DescribeOptions& options) {
  if (options.length < 1)
    throw ConfigError(expected_got("describe", "a length of at least 1", fmt::format("{}", options.length)));
  const ModelConfig& c = model.config();
  // The head is a product whether or not it has a matrix of its own.
  const double head = c.tie_word_embeddings ? 2.0 * static_cast<double>(c.vocab_size * c.hidden_size) : 0;
  Totals all = totals(model, options.length);
  all.flops += head;

  std::string text = fmt::format("{:<38}{:<16}{:<13}{:>12}{:>12}{:>13}\n", "name", "shape", "role", "parameters",
                                 "bytes f32", "FLOP/token");
  tree(text, model, 0, options);
  if (head > 0) line(text, 0, "lm_head (embed_tokens.weight)", "", "", {0, head});
  line(text, 0, "total", "", "", all);
  text +=
      fmt::format("\nFLOP/token: forward pass, sequences of {}; training takes about 3 times that.\n", options.length);
  text += fmt::format("Decoding state: {} bytes a sequence", grouped(state_bytes(model, false)));
  const std::int64_t growing = state_bytes(model, true);
  text += growing > 0 ? fmt::format(" and {} a position.\n", grouped(growing)) : ", whatever its length.\n";
  return text;
}

}  // namespace blalm
