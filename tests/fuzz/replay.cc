// Gives every file of a folder to a fuzz target, with any compiler: what a fuzzer once found stays
// a test. Under a sanitizer preset it is checked as strictly as by the fuzzer.
//
// usage: replay_TARGET FOLDER
#include <stdio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) {
    files.push_back(entry.path());
  }
  if (files.empty()) {
    fprintf(stderr, "%s: no inputs (%s)\n", argv[1], error.message().c_str());
    return 1;
  }
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    // Unbuffered and before the call: a crash leaves the name of its input.
    fprintf(stderr, "%s\n", path.filename().c_str());
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    // A copy of just that size, so that a sanitizer sees a read behind the end.
    const std::vector<uint8_t> input(text.begin(), text.end());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  printf("%zu inputs\n", files.size());
  return 0;
}
