#include "engine/inspect/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace blalm::inspect {
namespace {

std::string name_of_value(const Tape& tape, ValueId id) {
  if (id == kConstant) return "const";
  const Value& v = tape.values()[static_cast<std::size_t>(id)];
  return v.name.empty() ? fmt::format("%{}", id) : v.name;
}

std::string inputs(const Tape& tape, const Node& node) {
  std::string text;
  for (const NodeInput& in : node.inputs) {
    if (!in.given) continue;
    text += (text.empty() ? "" : ", ") + name_of_value(tape, in.id) + " " + in.shape.str();
  }
  return text;
}

std::string outputs(const Tape& tape, const Node& node) {
  std::string text;
  for (const ValueId id : node.outputs)
    text += (text.empty() ? "" : ", ") + name_of_value(tape, id) + " " +
            tape.values()[static_cast<std::size_t>(id)].shape.str();
  return text;
}

}  // namespace

std::string human_bytes(std::int64_t bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes)
                   : fmt::format("{:.{}f} {}", value,
                                 value < 10    ? 2
                                 : value < 100 ? 1
                                               : 0,
                                 units[unit]);
}

std::string table(const Tape& tape, TableOptions options) {
  std::vector<std::string> header = {"#", "op", "module", "inputs", "outputs", "kernel", "saved"};
  if (options.times) header.insert(header.end(), {"forward us", "backward us"});
  if (options.places) header.push_back("called at");
  std::vector<std::vector<std::string>> rows = {header};
  double forward = 0, backward = 0, flops = 0;
  std::int64_t saved = 0;
  for (std::size_t i = 0; i < tape.nodes().size(); ++i) {
    const Node& n = tape.nodes()[i];
    std::vector<std::string> row = {fmt::format("{}", i),      std::string(n.op), tape.scope_name(n.scope),
                                    inputs(tape, n),           outputs(tape, n),  std::string(n.implementation),
                                    human_bytes(n.saved_bytes)};
    if (options.times) {
      row.push_back(fmt::format("{:.1f}", 1e6 * n.forward_seconds));
      row.push_back(fmt::format("{:.1f}", 1e6 * n.backward_seconds));
    }
    if (options.places) row.push_back(n.where.short_str());
    rows.push_back(std::move(row));
    forward += n.forward_seconds;
    backward += n.backward_seconds;
    flops += n.flops;
    saved += n.saved_bytes;
  }
  // A column that is empty throughout (no modules) is left out.
  std::vector<std::size_t> width(header.size());
  for (std::size_t c = 0; c < header.size(); ++c)
    for (std::size_t r = 1; r < rows.size(); ++r) width[c] = std::max(width[c], rows[r][c].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (width[c] == 0) continue;
      const std::size_t w = std::max(width[c], header[c].size());
      const bool number = header[c] == "#" || header[c] == "saved" || header[c].ends_with("us");
      line += number ? fmt::format("{:>{}}  ", row[c], w) : fmt::format("{:<{}}  ", row[c], w);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  text += fmt::format("{} nodes, {} saved for backward, {:.3g} MFLOP forward", tape.nodes().size(), human_bytes(saved),
                      flops / 1e6);
  if (options.times) text += fmt::format(", {:.3f} ms forward, {:.3f} ms backward", 1e3 * forward, 1e3 * backward);
  return text + "\n";
}

}  // namespace blalm::inspect
