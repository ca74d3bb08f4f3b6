#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "blalm/apps/check/golden.h"
#include "blalm/core/error.h"

namespace blalm::check {
namespace {

using nlohmann::json;
using Inputs = std::map<std::string, Var>;

// The attributes of a case, with errors that name file and key.
class Attributes {
 public:
  explicit Attributes(const SafetensorsFile& file) : file_(file.path().filename().string()) {
    const auto it = file.metadata().find("attrs");
    if (it == file.metadata().end()) throw FormatError(expected_got(file_, "metadata 'attrs'", "none"));
    values_ = json::parse(it->second, nullptr, false);
    if (!values_.is_object()) throw FormatError(expected_got(file_, "metadata 'attrs' as a JSON object", it->second.substr(0, 60)));
  }
  bool has(const std::string& key) const { return values_.contains(key); }
  double number(const std::string& key) const {
    if (!has(key) || !values_[key].is_number()) throw FormatError(expected_got(file_, fmt::format("a number for attribute '{}'", key), has(key) ? values_[key].dump() : "none"));
    return values_[key].get<double>();
  }
  std::int64_t integer(const std::string& key) const {
    if (!has(key) || !values_[key].is_number_integer()) throw FormatError(expected_got(file_, fmt::format("a whole number for attribute '{}'", key), has(key) ? values_[key].dump() : "none"));
    return values_[key].get<std::int64_t>();
  }
  std::string text(const std::string& key) const { return has(key) && values_[key].is_string() ? values_[key].get<std::string>() : ""; }

 private:
  std::string file_;
  json values_;
};

// [B, H, T, D] <-> [B, T, H, D], and [B, H, T] <-> [B, T, H] for gates.
Var swap_heads(const Var& x) { return x.rank() == 4 ? ops::transpose(x, {0, 2, 1, 3}) : ops::transpose(x, {0, 2, 1}); }

Var run_attention(const Inputs& in, const Attributes& attributes, const CheckOptions&) {
  return swap_heads(ops::attention(swap_heads(in.at("q")), swap_heads(in.at("k")), swap_heads(in.at("v")),
                                   {.window = attributes.integer("window"), .memory = attributes.integer("memory")}));
}

Var run_mlstm(const Inputs& in, const Attributes& attributes, const CheckOptions& options) {
  return swap_heads(ops::mlstm(swap_heads(in.at("q")), swap_heads(in.at("k")), swap_heads(in.at("v")), swap_heads(in.at("i")),
                               swap_heads(in.at("f")),
                               {.scale = attributes.number("scale"), .eps = attributes.number("eps"), .form = options.form}));
}

Var run_rope(const Inputs& in, const Attributes& attributes, const CheckOptions&) {
  return swap_heads(ops::rope(swap_heads(in.at("x")), attributes.number("theta")));
}

Var run_short_conv(const Inputs& in, const Attributes& attributes, const CheckOptions&) {
  return ops::short_conv(in.at("x"), in.at("w"), attributes.text("activation") == "silu");
}

Var run_hedgehog(const Inputs& in, const Attributes&, const CheckOptions&) {
  return swap_heads(ops::hedgehog(swap_heads(in.at("x")), in.at("w"), in.at("b"), ops::FeatureMap::fla));
}

Var run_norm(const Inputs& in, const Attributes& attributes, const CheckOptions&) {
  const Var &x = in.at("x"), &w = in.at("w");
  if (w.rank() == 1) return ops::rms_norm(x, w, attributes.number("eps"));
  return swap_heads(ops::head_norm(swap_heads(x), w, attributes.number("eps")));
}

Var run_swiglu(const Inputs& in, const Attributes&, const CheckOptions&) { return ops::swiglu(in.at("g"), in.at("u")); }

// An operation is known by the names of its inputs and by one attribute.
struct Signature {
  std::set<std::string> inputs;
  std::string attribute;  // empty: none is asked for
  Var (*run)(const Inputs&, const Attributes&, const CheckOptions&);
};
const std::vector<Signature> kSignatures = {
    {{"q", "k", "v", "i", "f"}, "eps", run_mlstm}, {{"q", "k", "v"}, "window", run_attention}, {{"x"}, "theta", run_rope},
    {{"x", "w"}, "activation", run_short_conv},    {{"x", "w"}, "eps", run_norm},              {{"x", "w", "b"}, "", run_hedgehog},
    {{"g", "u"}, "", run_swiglu},
};

}  // namespace

double CheckOptions::tolerance_for(const std::string& file) const {
  if (tolerance > 0) return tolerance;
  return file.find("extreme-gates") == std::string::npos ? 1e-4 : 1e-3;
}

void check_op(const SafetensorsFile& file, const CheckOptions& options, Report& report) {
  const std::string name = file.path().filename().string();
  const Attributes attributes(file);
  Tape tape;
  Inputs inputs;
  std::set<std::string> names;
  // All that is missing shows before anything is compared.
  std::map<std::string, Tensor> references = {{"out", file.load("out")}};
  for (const std::string& tensor : file.names())
    if (tensor.starts_with("in/")) {
      const std::string input = tensor.substr(3), gradient = "grad/" + input;
      inputs.emplace(input, tape.leaf(file.load_as(tensor, options.dtype), input));
      references.emplace(gradient, file.load(gradient));
      names.insert(input);
    }
  const Signature* signature = nullptr;
  for (const Signature& s : kSignatures)
    if (s.inputs == names && (s.attribute.empty() || attributes.has(s.attribute))) signature = &s;
  if (signature == nullptr)
    throw FormatError(expected_got(name, "the inputs of a known operation", fmt::format("in/{{{}}}", fmt::join(names, ", "))));

  const Tensor dout = file.load_as("dout", options.dtype);
  const Var out = signature->run(inputs, attributes, options);
  if (dout.shape() != out.shape()) throw FormatError(expected_got(name, "dout of " + out.shape().str(), dout.shape().str()));
  const Var outputs[] = {out};
  const Tensor gradients[] = {dout};
  tape.backward(outputs, gradients);

  const double tolerance = options.tolerance_for(name);
  report.compare(name, "out", out.value(), references.at("out"), tolerance);
  for (const auto& [input, value] : inputs)
    report.compare(name, "grad/" + input, tape.grad(value), references.at("grad/" + input), tolerance);
}

}  // namespace blalm::check
