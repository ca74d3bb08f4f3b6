# Installs what building and testing need, where it is missing. Sourced by apps/quickstart.sh and tests/run.sh.
# Debian 12; as root or with sudo.

# ocl-icd-opencl-dev: the CMake files of libdnnl-dev look for OpenCL, which only its recommended packages bring.
blalm_packages="g++ cmake ninja-build pkg-config libeigen3-dev libdnnl-dev ocl-icd-opencl-dev doctest-dev libcxxopts-dev libfmt-dev
nlohmann-json3-dev libtomlplusplus-dev libpcre2-dev libonig-dev libutf8proc-dev libxxhash-dev liblzma-dev libzstd-dev zlib1g-dev
$blalm_more_packages"

blalm_missing=""
for package in $blalm_packages; do
  if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
    blalm_missing="$blalm_missing $package"
  fi
done

if [ -n "$blalm_missing" ]; then
  if ! command -v apt-get >/dev/null; then
    echo "This is not Debian: please install what these packages hold, then start again:$blalm_missing" >&2
    exit 1
  fi
  as_root=""
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Please run this as root, or install sudo. Missing packages:$blalm_missing" >&2
      exit 1
    fi
    as_root="sudo"
  fi
  echo "Installing$blalm_missing"
  if ! { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $blalm_missing; } >/tmp/blalm-apt-$$.log 2>&1; then
    tail -n 20 /tmp/blalm-apt-$$.log >&2
    exit 1
  fi
  rm -f /tmp/blalm-apt-$$.log
fi

# blalm_build PRESET TARGETS [CMAKE-ARGUMENT …]: configures and builds quietly; on an error shows the end of the log.
blalm_build() {
  preset=$1
  targets=$2
  shift 2
  mkdir -p "build/$preset"
  echo "Building the $preset preset into build/$preset"
  if ! { cmake --preset "$preset" "$@" && cmake --build --preset "$preset" --target $targets; } >"build/$preset/build.log" 2>&1; then
    grep -E -A4 'error|Error' "build/$preset/build.log" | head -n 60 >&2
    echo "The build failed; build/$preset/build.log has the whole story." >&2
    return 1
  fi
}
