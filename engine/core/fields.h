// Settings, described once. A config struct lists its fields with key, help and bounds; from that list come the TOML
// reader and writer, the command-line flags, --help, config.json and the axes of an ablation (design §8).
//
//   struct OptimConfig {
//     double lr = 1e-3;
//     Fields fields() {
//       Fields f("optim");
//       f.add("lr", lr, "peak learning rate").at_least(0);
//       return f;
//     }
//   };
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blalm {

// A share of something or an absolute number: "5%" or "500".
struct Amount {
  double value = 0;
  bool percent = false;
  // The absolute number, of a whole.
  double of(double whole) const { return percent ? whole * value / 100 : value; }
};

// A setting that the program chooses unless it is set; as text "auto" or the value. Until it is chosen it has the value
// that it began with. Assigning a value sets it.
template <class T>
struct Auto {
  T value{};
  bool automatic = true;

  Auto() = default;
  Auto(T begins_with) : value(begins_with) {}
  Auto& operator=(T x) {
    value = x;
    automatic = false;
    return *this;
  }
  operator T() const { return value; }
};

enum class FieldKind { integer, real, boolean, text, amount, texts };

// What another value of a setting means for a run that is continued.
enum class OnResume {
  fixed,      // another run: refused
  free,       // the same run, but for rounding
  lengthens,  // the run has more steps, or fewer
  of_data,    // the data says it, or it says where the data is: the data itself is compared
};

// One setting: how to read and write it as text, and what it may be. Refers to the struct that described it.
class Field {
 public:
  Field(std::string section, std::string key, FieldKind kind, std::string help)
      : section(std::move(section)), key(std::move(key)), kind(kind), help(std::move(help)) {}

  std::string section;  // "optim"; empty for the top level
  std::string key;      // "lr"
  FieldKind kind;
  std::string help;  // one line, without a full stop
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool exclusive_minimum = false;
  bool counts = false;               // of an amount: whole where it is no percentage
  std::vector<std::string> choices;  // of a text; empty: any
  std::string value_name;            // what --help calls its value: "PATH"; empty: by its kind
  OnResume on_resume = OnResume::fixed;
  bool names_files = false;  // of texts: each is a file or folder

  std::string path() const { return section.empty() ? key : section + "." + key; }
  // "0.001", "true", "5%", "auto"; texts as join_list gives them.
  std::string get() const { return is_automatic() ? kAutomatic : read(); }
  bool may_be_automatic() const { return automatic_ != nullptr; }
  bool is_automatic() const { return automatic_ != nullptr && *automatic_; }
  static constexpr const char* kAutomatic = "auto";
  // The texts of a field of texts, as they are; of any other field its one value.
  std::vector<std::string> items() const { return read_items ? read_items() : std::vector<std::string>{get()}; }
  // Throws ConfigError naming the path, what is allowed and what came. Integers take k and M: "100k". Texts become this
  // one, whatever is in it; none when it is empty.
  void set(std::string_view value) const;
  // Several values. Throws ConfigError for a field that holds one.
  void set_items(const std::vector<std::string>& items) const;

  // For descriptions: f.add(…).at_least(1).at_most(8).
  Field& at_least(double x) {
    minimum = x;
    return *this;
  }
  Field& above(double x) {
    minimum = x;
    exclusive_minimum = true;
    return *this;
  }
  Field& at_most(double x) {
    maximum = x;
    return *this;
  }
  // An amount of steps: a whole number, or a percentage. What looks like a share is refused with its percentage.
  Field& whole() {
    counts = true;
    return *this;
  }
  Field& one_of(std::vector<std::string> names) {
    choices = std::move(names);
    return *this;
  }
  // Takes "auto" as well, which sets the flag; any value clears it.
  Field& automatic(bool& flag) {
    automatic_ = &flag;
    return *this;
  }
  Field& takes(std::string name) {
    value_name = std::move(name);
    return *this;
  }
  Field& when_resumed(OnResume kind) {
    on_resume = kind;
    return *this;
  }
  Field& of_files() {
    names_files = true;
    return *this;
  }

  std::function<std::string()> read;
  std::function<void(std::string_view)> write;           // after set() has checked it
  std::function<std::vector<std::string>()> read_items;  // of texts
  std::function<void(const std::vector<std::string>&)> write_items;

 private:
  void check_number(double value, std::string_view text) const;
  bool* automatic_ = nullptr;
};

// The fields of one struct or of several, in the order of their description.
class Fields {
 public:
  explicit Fields(std::string section = {}) : section_(std::move(section)) {}

  Field& add(std::string key, std::int64_t& value, std::string help);
  Field& add(std::string key, std::uint64_t& value, std::string help);
  Field& add(std::string key, double& value, std::string help);
  Field& add(std::string key, bool& value, std::string help);
  Field& add(std::string key, std::string& value, std::string help);
  Field& add(std::string key, Amount& value, std::string help);
  Field& add(std::string key, std::vector<std::string>& value, std::string help);
  // An enum, by the names of its values in order.
  template <class E>
  requires std::is_enum_v<E> Field& add(std::string key, E& value, std::vector<std::string> names, std::string help) {
    Field& f = list_.emplace_back(section_, std::move(key), FieldKind::text, std::move(help));
    f.choices = names;
    f.read = [&value, names] { return names[static_cast<std::size_t>(value)]; };
    f.write = [&value, names](std::string_view text) {
      for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == text) value = static_cast<E>(i);
    };
    return f;
  }

  // A setting that may be "auto".
  template <class T>
  Field& add(std::string key, Auto<T>& value, std::string help) {
    return add(std::move(key), value.value, std::move(help)).automatic(value.automatic);
  }
  template <class E>
  Field& add(std::string key, Auto<E>& value, std::vector<std::string> names, std::string help) {
    return add(std::move(key), value.value, std::move(names), std::move(help)).automatic(value.automatic);
  }

  void append(Fields other);
  // All but those with these keys.
  Fields without(std::span<const std::string_view> keys) const;
  const std::vector<Field>& list() const& { return list_; }
  const std::vector<Field>& list() const&& = delete;  // would outlive its list: for (… : config.fields().list())
  // Throws ConfigError with the nearest path when there is none of this name.
  const Field& at(std::string_view path) const;
  void set(std::string_view path, std::string_view value) const { at(path).set(value); }

 private:
  std::string section_;
  std::vector<Field> list_;
};

// "did you mean 5%?" for 0.05.
std::string percentage_of_share(double share);

// Texts as one text, with commas between them, to be shown and compared: a comma inside a text is written "\,", a
// backslash "\\".
std::string join_list(const std::vector<std::string>& items);

// The candidate with the smallest edit distance to `name`; empty when none comes near. What stands before the last dot
// is a section: the key alone has to be near.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace blalm
