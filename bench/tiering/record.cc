// bench_tiering_record: runs one kernel and writes its heat trace, or (--native) runs it bare for
// timing.
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include "bench/tiering/kernels.h"
#include "bench/tiering/recorder.h"
#include "bench/tiering/zipf.h"

namespace {

using namespace hms::bench::tiering;

struct Options {
  std::string kernel, out;
  Load load{64 << 20, 40'000'000};
  Recorder::Options recorder;
  bool native = false, marks = false;
};

const char kUsage[] =
    "usage: bench_tiering_record KERNEL (--out FILE | --native [--mark]) [--bytes N] [--accesses "
    "N] "
    "[--epoch N] [--cache N]\n"
    "       bench_tiering_record --list\n";

[[noreturn]] void usage(const std::string& why) {
  fprintf(stderr, "bench_tiering_record: %s\n%s", why.c_str(), kUsage);
  exit(2);
}

uint64_t number(const std::string& option, const char* text) {
  char* end = nullptr;
  unsigned long long value = strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0' || *text == '-')
    usage(option + " wants a number, not '" + text + "'");
  return value;
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    std::string word = words[i];
    if (word == "--native") {
      options.native = true;
    } else if (word == "--mark") {
      options.marks = true;
    } else if (word.rfind("--", 0) == 0) {
      if (i + 1 == count) usage(word + " wants a value");
      const char* value = words[++i];
      if (word == "--out")
        options.out = value;
      else if (word == "--bytes")
        options.load.bytes = number(word, value);
      else if (word == "--accesses")
        options.load.accesses = number(word, value);
      else if (word == "--epoch")
        options.recorder.epoch = number(word, value);
      else if (word == "--cache")
        options.recorder.cache_bytes = number(word, value);
      else
        usage("unknown option '" + word + "'");
    } else {
      options.kernel = word;
    }
  }
  if (options.kernel.empty()) usage("which kernel? --list names them");
  if (options.native != options.out.empty()) usage("one of --out and --native");
  if (options.load.bytes < 1 << 20) usage("--bytes must be at least 1048576");
  if (options.recorder.epoch == 0) usage("--epoch must not be 0");
  return options;
}

template <typename Heap>
const Kernel<Heap> find(const std::string& name) {
  for (const Kernel<Heap>& kernel : kernels<Heap>()) {
    if (name == kernel.name) return kernel;
  }
  usage("no kernel '" + name + "'");
}

void list() {
  static const char* const kKinds[] = {"objects", "arrays", "adversary"};
  for (const auto& kernel : kernels<NativeHeap>()) {
    printf("%s\t%s\t%s\n", kernel.name, kKinds[static_cast<int>(kernel.kind)], kernel.what);
  }
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && strcmp(words[1], "--list") == 0) {
    list();
    return 0;
  }
  Options options = parse(count, words);
  if (options.native) {
    NativeHeap heap;
    heap.marks = options.marks;
    if (heap.marks && !marker_map()) {
      perror("bench_tiering_record: --mark");
      return 1;
    }
    find<NativeHeap>(options.kernel).run(heap, options.load);
    if (heap.marks) marker_set(0);
    return heap.sum == 1 ? 3 : 0;  // the sum decides nothing, but must be known
  }
  Recorder recorder(options.recorder);
  find<Recorder>(options.kernel).run(recorder, options.load);
  try {
    save(recorder.finish(options.kernel), options.out);
  } catch (const std::runtime_error& error) {
    fprintf(stderr, "bench_tiering_record: %s\n", error.what());
    return 1;
  }
  return 0;
}
