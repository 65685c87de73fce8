// See hardware.h.
#include "runtime/tiering/samplers/hardware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "runtime/support/os.h"

namespace hms::tiering {
namespace {

constexpr char kDevices[] = "/sys/bus/event_source/devices";
// Loads that took longer than a hit in the second cache: those that memory may have served.
constexpr uint64_t kLoadCycles = 64;
// Prime, so that loops do not fall in step with them. A store cannot be told to have missed.
constexpr uint64_t kLoadPeriod = 4999, kStorePeriod = 20011;
constexpr uint64_t kIbsPeriod = uint64_t{1} << 18;  // of operations; a multiple of 16
constexpr double kLineBytes = 64;

std::string text_of(const std::string& path) {
  char buffer[256];
  const int n = os::read_file(path.c_str(), buffer, sizeof buffer);
  std::string text(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::vector<EventTerm> terms_of(const std::string& text) {
  std::vector<EventTerm> terms;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string term = text.substr(at, end - at);
    const size_t equals = term.find('=');
    const bool bare = equals == std::string::npos;
    terms.push_back(
        {term.substr(0, equals), bare ? 1 : strtoull(term.c_str() + equals + 1, nullptr, 0)});
    at = end + 1;
  }
  return terms;
}

// "config:0-7,32-35": the bits of a value, low ones first, to the word of that name.
bool put_term(const std::string& format, uint64_t value, os::SampleSource* source) {
  const size_t colon = format.find(':');
  if (colon == std::string::npos) return false;
  const std::string word = format.substr(0, colon);
  uint64_t* to = word == "config"    ? &source->config
                 : word == "config1" ? &source->config1
                                     : nullptr;
  if (to == nullptr) return false;
  const char* p = format.c_str() + colon + 1;
  while (*p >= '0' && *p <= '9') {
    char* rest = nullptr;
    const unsigned long low = strtoul(p, &rest, 10);
    const unsigned long high = *rest == '-' ? strtoul(rest + 1, &rest, 10) : low;
    if (high < low || high > 63) return false;
    const unsigned long bits = high - low + 1;
    const uint64_t mask = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
    *to = (*to & ~(mask << low)) | (value & mask) << low;
    value = bits == 64 ? 0 : value >> bits;
    p = *rest == ',' ? rest + 1 : rest;
  }
  return true;
}

bool pmu_type(const std::string& root, const std::string& pmu, uint32_t* type) {
  const std::string text = text_of(root + "/" + pmu + "/type");
  if (text.empty()) return false;
  *type = static_cast<uint32_t>(strtoul(text.c_str(), nullptr, 10));
  return true;
}

}  // namespace

Result<os::SampleSource> describe_event(const std::string& root, const std::string& pmu,
                                        const std::string& event,
                                        const std::vector<EventTerm>& replace) {
  os::SampleSource source;
  if (!pmu_type(root, pmu, &source.type)) {
    return Status(HMS_ENODEV, "no performance unit '" + pmu + "'");
  }
  const std::string text = text_of(root + "/" + pmu + "/events/" + event);
  if (text.empty()) return Status(HMS_ENODEV, "'" + pmu + "' has no event '" + event + "'");
  const std::string formats = root + "/" + pmu + "/format/";
  for (EventTerm term : terms_of(text)) {
    for (const EventTerm& other : replace) {
      if (other.name == term.name) term.value = other.value;
    }
    std::string path = formats;
    path += term.name;
    const std::string format = text_of(path);
    if (!put_term(format, term.value, &source)) {
      return Status(HMS_ENODEV,
                    "'" + term.name + "' of the event '" + event + "' has no known place");
    }
  }
  return source;
}

Result<std::vector<os::SampleSource>> memory_sources(const std::string& root) {
  std::vector<os::SampleSource> sources;
  Result<os::SampleSource> loads =
      describe_event(root, "cpu", "mem-loads", {{"ldlat", kLoadCycles}});
  if (loads.ok()) {
    loads.value().precise = true;
    loads.value().period = kLoadPeriod;
    sources.push_back(loads.value());
    Result<os::SampleSource> stores = describe_event(root, "cpu", "mem-stores");
    if (stores.ok()) {
      stores.value().precise = true;
      stores.value().period = kStorePeriod;
      sources.push_back(stores.value());
    }
    return sources;
  }
  os::SampleSource ibs;
  if (pmu_type(root, "ibs_op", &ibs.type)) {
    ibs.period = kIbsPeriod;
    ibs.user_only = false;
    sources.push_back(ibs);
    return sources;
  }
  return Status(HMS_ENODEV,
                "the processor offers neither memory load events nor instruction based sampling; a "
                "virtual machine needs a virtual PMU");
}

// What was prefetched in time is no slow load, so streams fetch more than that.
Sight HardwareSampler::sight() const {
  const auto loads = static_cast<double>(kLoadPeriod);
  return {true, true, loads, loads * kLineBytes};
}

Status HardwareSampler::start() {
  Result<std::vector<os::SampleSource>> sources = memory_sources(kDevices);
  if (!sources.ok()) return sources.status();
  const int r = open(sources.value());
  if (r == 0) return {};
  const bool forbidden = r == -EPERM || r == -EACCES;
  return {forbidden ? HMS_EPERM : HMS_ENODEV,
          std::string("the processor's memory samples cannot be opened (") + strerrordesc_np(-r) +
              ")" +
              (forbidden ? "; give CAP_PERFMON, or ask the administrator for perf_event_paranoid 2 "
                           "or less"
                         : "")};
}

}  // namespace hms::tiering
