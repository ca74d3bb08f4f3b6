#include "data/tokenizer/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "data/text/character_class.h"
#include "data/tokenizer/limits.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

// Calls valid(begin, end) for the stretches of valid UTF-8 and copies what lies between.
template <class Valid>
void for_each_valid(const NormalizedText& in, NormalizedText& out, Valid&& valid) {
  const std::string_view text = in.text;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t good = at + utf8::valid_prefix(text.substr(at));
    if (good > at) valid(at, good);
    at = good + utf8::invalid_prefix(text.substr(good));
    out.keep(in, good, at);
  }
}

// Sorting the marks of a cluster takes quadratic time, so that an endless one (text made to harm) is cut.
constexpr std::size_t kMaxCluster = 256;

// The end of the grapheme cluster that begins at `at`: no normalization form looks across its borders.
std::size_t cluster_end(std::string_view text, std::size_t at) {
  const std::size_t most = at + kMaxCluster;
  utf8proc_int32_t state = 0;
  utf8::CodePoint last = utf8::decode(text, at);
  at += last.size;
  while (at < text.size() && at < most) {
    const utf8::CodePoint next = utf8::decode(text, at);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last.value),
                                         static_cast<utf8proc_int32_t>(next.value), &state)) {
      break;
    }
    last = next;
    at += next.size;
  }
  return at;
}

int utf8proc_options(UnicodeForm form) {
  switch (form) {
    case UnicodeForm::kNfc: return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case UnicodeForm::kNfd: return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case UnicodeForm::kNfkc: return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    case UnicodeForm::kNfkd: return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  }
  std::abort();
}

void to_form(const NormalizedText& in, std::size_t begin, std::size_t end, UnicodeForm form, NormalizedText& out) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(in.text.data() + begin),
                                 static_cast<utf8proc_ssize_t>(end - begin), &mapped,
                                 static_cast<utf8proc_option_t>(utf8proc_options(form)));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (size < 0) return out.keep(in, begin, end);
  const std::string_view bytes(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
  if (bytes == std::string_view(in.text).substr(begin, end - begin)) return out.keep(in, begin, end);
  out.put(bytes, in, begin, end);
}

bool is_ascii(char byte) { return static_cast<unsigned char>(byte) < 0x80; }

}  // namespace

void NormalizedText::reset(std::string_view source, bool track, std::size_t longest) {
  text.assign(source);
  tracked = track;
  most = longest;
  too_long = false;
  sources.clear();
  if (!track) return;
  for (std::size_t i = 0; i < source.size(); ++i) sources.push_back({i, i + 1});
}

void NormalizedText::keep(const NormalizedText& from, std::size_t begin, std::size_t end) {
  text.append(from.text, begin, end - begin);
  if (!tracked) return;
  sources.insert(sources.end(), from.sources.begin() + static_cast<std::ptrdiff_t>(begin),
                 from.sources.begin() + static_cast<std::ptrdiff_t>(end));
}

void NormalizedText::put(std::string_view bytes, const NormalizedText& from, std::size_t begin, std::size_t end) {
  if (text.size() + bytes.size() > most) {
    too_long = true;
    return;
  }
  text.append(bytes);
  if (!tracked) return;
  ByteRange source;
  if (begin < end) {
    source = {from.sources[begin].begin, from.sources[end - 1].end};
  } else if (begin < from.sources.size()) {
    source = {from.sources[begin].begin, from.sources[begin].begin};
  } else if (begin > 0) {
    source = {from.sources[begin - 1].end, from.sources[begin - 1].end};
  }
  sources.insert(sources.end(), bytes.size(), source);
}

void Normalizer::add_unicode_form(UnicodeForm form) {
  steps_.push_back([form](const NormalizedText& in, NormalizedText& out, RegexWorkspace&) {
    for_each_valid(in, out, [&](std::size_t begin, std::size_t end) {
      const std::string_view text = std::string_view(in.text).substr(0, end);
      for (std::size_t at = begin; at < end;) {
        std::size_t next = at;  // ASCII stays as it is, but the last of a run may carry an accent
        while (next < end && is_ascii(text[next]) && (next + 1 == end || is_ascii(text[next + 1]))) ++next;
        out.keep(in, at, next);
        if (next == end) break;
        at = cluster_end(text, next);
        to_form(in, next, at, form, out);
      }
    });
  });
}

void Normalizer::add_lowercase() {
  steps_.push_back([](const NormalizedText& in, NormalizedText& out, RegexWorkspace&) {
    std::string lower;
    for_each_valid(in, out, [&](std::size_t begin, std::size_t end) {
      for (std::size_t at = begin; at < end;) {
        const utf8::CodePoint point = utf8::decode(in.text, at);
        lower.clear();
        if (point.value == 0x130) {
          lower = "i\u0307";  // the one character whose lower case is two
        } else {
          utf8::append(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value))), lower);
        }
        out.put(lower, in, at, at + point.size);
        at += point.size;
      }
    });
  });
}

void Normalizer::add_strip(bool left, bool right) {
  steps_.push_back([left, right](const NormalizedText& in, NormalizedText& out, RegexWorkspace&) {
    std::size_t begin = 0;
    std::size_t end = in.text.size();
    while (left && begin < end) {
      const utf8::CodePoint point = utf8::decode(in.text, begin);
      if (point.size == 0 || !utf8::is_space(point.value)) break;
      begin += point.size;
    }
    while (right && begin < end) {
      std::size_t last = end - 1;
      while (last > begin && (static_cast<unsigned char>(in.text[last]) & 0xC0) == 0x80) --last;
      const utf8::CodePoint point = utf8::decode(in.text, last);
      if (point.size != end - last || !utf8::is_space(point.value)) break;
      end = last;
    }
    out.keep(in, begin, end);
  });
}

void Normalizer::add_prepend(std::string text) {
  steps_.push_back([text = std::move(text)](const NormalizedText& in, NormalizedText& out, RegexWorkspace&) {
    if (!in.text.empty()) out.put(text, in, 0, 0);
    out.keep(in, 0, in.text.size());
  });
}

void Normalizer::add_replace(Regex pattern, std::string content) {
  // std::function asks for a copy, a compiled pattern has none
  auto shared = std::make_shared<const Regex>(std::move(pattern));
  steps_.push_back(
      [shared, content = std::move(content)](const NormalizedText& in, NormalizedText& out, RegexWorkspace& regex) {
        for_each_valid(in, out, [&](std::size_t begin, std::size_t end) {
          const std::string_view text = std::string_view(in.text).substr(begin, end - begin);
          for_each_match(*shared, text, regex, [&](std::size_t from, std::size_t to, bool matched) {
            matched ? out.put(content, in, begin + from, begin + to) : out.keep(in, begin + from, begin + to);
          });
        });
      });
}

void Normalizer::add_replace(std::string literal, std::string content) {
  steps_.push_back([literal = std::move(literal), content = std::move(content)](const NormalizedText& in,
                                                                                NormalizedText& out, RegexWorkspace&) {
    std::size_t at = 0;
    for (std::size_t found; (found = in.text.find(literal, at)) != std::string::npos; at = found + literal.size()) {
      out.keep(in, at, found);
      out.put(content, in, found, found + literal.size());
    }
    out.keep(in, at, in.text.size());
  });
}

void Normalizer::normalize(std::string_view text, bool track, Workspace& workspace) const {
  const std::size_t longest = longest_made_of(text.size());
  workspace.result.reset(text, track, longest);
  for (const Step& step : steps_) {
    workspace.scratch.reset({}, track, longest);
    step(workspace.result, workspace.scratch, workspace.regex);
    if (workspace.scratch.too_long || workspace.scratch.text.size() > longest) {
      throw FormatError(expected_got(
          where_, fmt::format("steps that make at most {} times a text and {} bytes of it", kMaxGrowth, kMaxAdded),
          fmt::format("more of {} bytes", text.size())));
    }
    std::swap(workspace.result, workspace.scratch);
  }
}

}  // namespace blalm
