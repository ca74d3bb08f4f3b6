#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <set>

#include "apps/check/attributes.h"
#include "apps/check/contents.h"
#include "apps/check/golden.h"
#include "engine/core/error.h"

namespace blalm::check {
namespace {

using Inputs = std::map<std::string, Var>;

// [B, H, T, D] <-> [B, T, H, D], and [B, H, T] <-> [B, T, H] for gates.
Var swap_heads(const Var& x) { return x.rank() == 4 ? ops::transpose(x, {0, 2, 1, 3}) : ops::transpose(x, {0, 2, 1}); }

Var run_attention(const Inputs& in, const Attributes& attributes, const CheckOptions&) {
  return swap_heads(ops::attention(swap_heads(in.at("q")), swap_heads(in.at("k")), swap_heads(in.at("v")),
                                   {.window = attributes.integer("window"), .memory = attributes.integer("memory")}));
}

Var run_mlstm(const Inputs& in, const Attributes& attributes, const CheckOptions& options) {
  return swap_heads(
      ops::mlstm(swap_heads(in.at("q")), swap_heads(in.at("k")), swap_heads(in.at("v")), swap_heads(in.at("i")),
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
  std::string attribute;       // empty: none is asked for
  std::set<std::string> wide;  // inputs that stay f32 beside bf16 ones: weights and gates
  Var (*run)(const Inputs&, const Attributes&, const CheckOptions&);
};
const std::vector<Signature> kSignatures = {
    {{"q", "k", "v", "i", "f"}, "eps", {"i", "f"}, run_mlstm},
    {{"q", "k", "v"}, "window", {}, run_attention},
    {{"x"}, "theta", {}, run_rope},
    {{"x", "w"}, "activation", {"w"}, run_short_conv},
    {{"x", "w"}, "eps", {"w"}, run_norm},
    {{"x", "w", "b"}, "", {"w", "b"}, run_hedgehog},
    {{"g", "u"}, "", {}, run_swiglu},
};

}  // namespace

void check_op(const SafetensorsFile& file, const CheckOptions& options, Report& report) {
  const std::string name = name_of(file);
  const Attributes attributes(file);
  const std::vector<std::string> inputs = names_under(file, "in/");
  Contents contents(file);
  const Shape out_shape = contents.shape_of("out");
  contents.floats("out", out_shape);
  contents.floats("dout", out_shape);
  for (const std::string& input : inputs) {
    const Shape shape = contents.shape_of("in/" + input);
    contents.floats("in/" + input, shape);
    contents.floats("grad/" + input, shape);
  }
  contents.finish();
  const Signature* signature = nullptr;
  for (const Signature& s : kSignatures)
    if (s.inputs == std::set(inputs.begin(), inputs.end()) && (s.attribute.empty() || attributes.has(s.attribute)))
      signature = &s;
  if (signature == nullptr)
    throw FormatError(
        expected_got(name, "the inputs of a known operation", fmt::format("in/{{{}}}", fmt::join(inputs, ", "))));

  Tape tape;
  Inputs values;
  for (const std::string& input : inputs) {
    const DType dtype = signature->wide.contains(input) ? compute_dtype(options.dtype) : options.dtype;
    values.emplace(input, tape.leaf(file.load_as("in/" + input, dtype), input));
  }
  const Var out = signature->run(values, attributes, options);
  if (out_shape != out.shape()) throw FormatError(expected_got(name, "out of " + out.shape().str(), out_shape.str()));
  const Var outputs[] = {out};
  const Tensor gradients[] = {file.load_as("dout", out.dtype())};
  tape.backward(outputs, gradients);

  const Tolerance tolerance = options.tolerance_for(name);
  report.compare(name, "out", out.value(), file.load("out"), tolerance.result);
  for (const auto& [input, value] : values)
    report.compare(name, "grad/" + input, tape.grad(value), file.load("grad/" + input), tolerance.gradient);
}

}  // namespace blalm::check
