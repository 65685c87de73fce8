// See trace.h.
#include "bench/tiering/trace.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace hms::bench::tiering {
namespace {

constexpr char kMagic[8] = {'h', 'm', 's', 'h', 'e', 'a', 't', '1'};

struct Closer {
  void operator()(FILE* file) const { fclose(file); }
};
using File = std::unique_ptr<FILE, Closer>;

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw std::runtime_error("trace '" + path + "': " + why);
}

File open(const std::string& path, const char* mode) {
  File file(fopen(path.c_str(), mode));
  if (!file) fail(path, strerror(errno));
  return file;
}

template <typename T>
void put(FILE* file, const std::vector<T>& items, const std::string& path) {
  uint64_t count = items.size();
  // An empty vector has no data to point at.
  if (fwrite(&count, sizeof count, 1, file) != 1 ||
      (count > 0 && fwrite(items.data(), sizeof(T), count, file) != count)) {
    fail(path, strerror(errno));
  }
}

template <typename T>
std::vector<T> get(FILE* file, const std::string& path) {
  uint64_t count = 0;
  if (fread(&count, sizeof count, 1, file) != 1) fail(path, "it ends too early");
  std::vector<T> items;
  // In steps: a wrong count must not ask for all memory.
  constexpr uint64_t kStep = uint64_t{1} << 20;
  while (items.size() < count) {
    size_t old = items.size();
    items.resize(old + std::min(kStep, count - old));
    if (fread(items.data() + old, sizeof(T), items.size() - old, file) != items.size() - old) {
      fail(path, "it ends too early");
    }
  }
  return items;
}

void check(const Trace& trace, const std::string& path) {
  uint64_t pieces = 0, heat = 0;
  for (const Object& object : trace.objects) {
    if (object.bytes == 0 || object.first_piece != pieces) fail(path, "its objects are damaged");
    pieces += pieces_of(object);
  }
  for (const Epoch& epoch : trace.epochs) {
    if (epoch.heat_end < heat || epoch.heat_end > trace.heat.size())
      fail(path, "its epochs are damaged");
    heat = epoch.heat_end;
  }
  for (const Heat& entry : trace.heat) {
    if (entry.piece >= pieces) fail(path, "its heat is damaged");
  }
}

}  // namespace

uint64_t Trace::pieces() const {
  return objects.empty() ? 0 : objects.back().first_piece + pieces_of(objects.back());
}

uint64_t piece_bytes(const Object& object, uint64_t index) {
  uint64_t begin = std::max(object.address, (object.address / kPage + index) * kPage);
  uint64_t end =
      std::min(object.address + object.bytes, (object.address / kPage + index + 1) * kPage);
  return end - begin;
}

void save(const Trace& trace, const std::string& path) {
  File file = open(path, "wb");
  if (fwrite(kMagic, sizeof kMagic, 1, file.get()) != 1) fail(path, strerror(errno));
  put(file.get(), std::vector<char>(trace.workload.begin(), trace.workload.end()), path);
  put(file.get(), std::vector<uint64_t>{trace.warm_epochs}, path);
  put(file.get(), trace.objects, path);
  put(file.get(), trace.epochs, path);
  put(file.get(), trace.heat, path);
  if (fflush(file.get()) != 0) fail(path, strerror(errno));
}

Trace load(const std::string& path) {
  File file = open(path, "rb");
  char magic[sizeof kMagic];
  if (fread(magic, sizeof magic, 1, file.get()) != 1 || memcmp(magic, kMagic, sizeof magic) != 0) {
    fail(path, "not a heat trace");
  }
  Trace trace;
  std::vector<char> name = get<char>(file.get(), path);
  trace.workload.assign(name.begin(), name.end());
  std::vector<uint64_t> numbers = get<uint64_t>(file.get(), path);
  if (numbers.size() != 1) fail(path, "its head is damaged");
  trace.warm_epochs = numbers[0];
  trace.objects = get<Object>(file.get(), path);
  trace.epochs = get<Epoch>(file.get(), path);
  trace.heat = get<Heat>(file.get(), path);
  check(trace, path);
  return trace;
}

}  // namespace hms::bench::tiering
