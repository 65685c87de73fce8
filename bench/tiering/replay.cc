// bench_tiering_replay: prints what one or more heat traces allow and what the baselines make of
// them, as JSON.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/tiering/bandwidth.h"
#include "bench/tiering/layout.h"
#include "bench/tiering/oracles.h"
#include "bench/tiering/policies.h"
#include "bench/tiering/steer.h"
#include "bench/tiering/trace.h"

namespace {

using namespace hms::bench::tiering;

constexpr uint64_t kHugePage = 2 << 20;

// A promotion copies 4 KiB and costs two calls' share: about 2 microseconds, as long as 20 misses
// that each lose 100 ns.
constexpr double kMoveCost = 20;

struct Options {
  std::vector<std::string> files;
  uint64_t fast_bytes = 0;  // 0: an eighth of the live bytes
  uint64_t rate = 200;
  uint64_t epoch_ms = 250;  // how long an epoch is taken to last
  bool engine = false;      // replay the engine, too
  std::string bandwidth;    // NEAR:FAR: only what is modelled of it
};

[[noreturn]] void usage(const std::string& why) {
  fprintf(stderr,
          "bench_tiering_replay: %s\nusage: bench_tiering_replay [--fast BYTES] [--rate ACCESSES] "
          "[--engine [--epoch-ms N] | --bandwidth NEAR:FAR [--epoch-ms N]] TRACE\n",
          why.c_str());
  exit(2);
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    std::string word = words[i];
    if (word.rfind("--", 0) != 0) {
      options.files.push_back(word);
      continue;
    }
    if (word == "--engine") {
      options.engine = true;
      continue;
    }
    if (i + 1 == count) usage(word + " wants a value");
    if (word == "--bandwidth") {
      options.bandwidth = words[++i];
      continue;
    }
    char* end = nullptr;
    unsigned long long value = strtoull(words[++i], &end, 10);
    if (*end != '\0' || value == 0) usage(word + " wants a number above 0, not '" + words[i] + "'");
    if (word == "--fast")
      options.fast_bytes = value;
    else if (word == "--rate")
      options.rate = value;
    else if (word == "--epoch-ms")
      options.epoch_ms = value;
    else
      usage("unknown option '" + word + "'");
  }
  if (options.files.size() != 1) usage("which trace?");
  return options;
}

void print_layout(const Trace& trace, const char* name, const Layout& layout, uint64_t fast_bytes) {
  printf("    \"%s\": {\"page_bytes\": %llu, \"pages\": %u, \"static\": %.4f}", name,
         static_cast<unsigned long long>(layout.page_bytes), layout.pages,
         best_static_pages(trace, layout, fast_bytes));
}

void print_series(const std::vector<double>& values) {
  printf("[");
  for (size_t i = 0; i < values.size(); ++i) printf("%s%.3f", i ? "," : "", values[i]);
  printf("]");
}

void print_policies(const Trace& trace, const Layout& layout, const Options& options) {
  const char* separator = "";
  for (auto& policy : baselines(trace, layout, options.fast_bytes)) {
    Replay result = replay(trace, layout, options.fast_bytes, options.rate, policy.get());
    printf(
        "%s\n    \"%s\": {\"hits\": %.4f, \"last_hits\": %.4f, \"moved_bytes\": %llu, "
        "\"series\": ",
        separator, policy->name(), result.hits, result.last_hits,
        static_cast<unsigned long long>(result.moved * layout.page_bytes));
    print_series(result.by_epoch);
    printf("}");
    separator = ",";
  }
}

struct Variant {
  const char* name;
  Seeing seeing;
  uint64_t unit_bytes;
  bool parts, profiled, steps = true;
};
// The engine as it is, with units of other sizes and no parts, with other eyes, and with what an
// earlier run found out.
constexpr Variant kVariants[] = {
    {"engine", Seeing::kSamples, kHugePage, true, false},
    {"units-2M", Seeing::kSamples, kHugePage, false, false},
    {"units-256K", Seeing::kSamples, 256 << 10, false, false},
    {"units-64K", Seeing::kSamples, 64 << 10, false, false},
    {"bits", Seeing::kBits, kHugePage, true, false},
    {"writes", Seeing::kWrites, kHugePage, true, false},
    {"profiled", Seeing::kSamples, kHugePage, true, true},
    {"profile-only", Seeing::kSamples, kHugePage, true, true, false},
};

void print_phases(const Steered& result) {
  const char* separator = "";
  for (const PhaseResult& phase : result.phases) {
    printf(
        "%s{\"best\": %.4f, \"hits\": %.4f, \"reach_s\": %.2f, \"moved_bytes\": %llu, "
        "\"minimum_bytes\": %llu}",
        separator, phase.best, phase.hits, phase.reach_s,
        static_cast<unsigned long long>(phase.moved),
        static_cast<unsigned long long>(phase.minimum));
    separator = ", ";
  }
}

void print_engine(const Trace& trace, const Options& options) {
  const double epoch_s = static_cast<double>(options.epoch_ms) / 1000;
  const Foreseen foreseen = foresee(trace, {options.fast_bytes, options.rate, epoch_s});
  const char* separator = "";
  for (const Variant& variant : kVariants) {
    SteerOptions how;
    how.heap.near_bytes = options.fast_bytes;
    how.heap.unit_bytes = variant.unit_bytes;
    how.heap.parts = variant.parts;
    how.heap.foreseen = variant.profiled ? &foreseen : nullptr;
    how.seeing = variant.seeing;
    how.steps = variant.steps;
    if (variant.profiled) how.engine.policy.believe_s = engine::kBelieveProfile;
    how.rate = options.rate;
    how.epoch_s = epoch_s;
    Steered result = steer(trace, how);
    printf(
        "%s\n    \"%s\": {\"hits\": %.4f, \"last_hits\": %.4f, \"first_second_hits\": %.4f, "
        "\"oracle\": %.4f, \"last_oracle\": %.4f, \"births\": %.4f, \"moved_bytes\": %llu, "
        "\"demoted_bytes\": %llu, \"churn\": %.5f, \"estimate\": %.4f, \"parts\": %zu, "
        "\"classes\": %u, \"why\": \"%s\",\n      \"phases\": [",
        separator, variant.name, result.hits, result.last_hits, result.first_hits, result.oracle,
        result.last_oracle, result.births, static_cast<unsigned long long>(result.promoted),
        static_cast<unsigned long long>(result.demoted), result.churn, result.share_seen,
        result.parts, result.classes, result.why.c_str());
    print_phases(result);
    printf("],\n      \"series\": ");
    print_series(result.by_epoch);
    printf("}");
    separator = ",";
  }
}

void report_bandwidth(const Trace& trace, const Options& options) {
  auto weights = engine::parse_weave(options.bandwidth);
  if (!weights.ok()) throw std::runtime_error("--bandwidth: " + weights.status().message());
  if (weights.value().kind != engine::WeaveWords::Kind::kWeights)
    throw std::runtime_error("--bandwidth: two numbers are needed, such as 4:1");
  SteerOptions how;
  how.heap.near_bytes = options.fast_bytes;
  how.rate = options.rate;
  how.epoch_s = static_cast<double>(options.epoch_ms) / 1000;
  const BoundTimes times = bound_times(trace, how, weights.value());
  printf(
      "{\"schema\": 1, \"workload\": \"%s\", \"fast_bytes\": %llu, \"live_bytes\": %llu, "
      "\"bandwidth\": \"%s\",\n  \"first_touch\": {\"time\": %.4f},\n"
      "  \"engine\": {\"time\": %.4f, \"hits\": %.4f, \"moved_bytes\": %llu},\n"
      "  \"woven\": {\"time\": %.4f, \"hits\": %.4f, \"moved_bytes\": %llu}}\n",
      trace.workload.c_str(), static_cast<unsigned long long>(options.fast_bytes),
      static_cast<unsigned long long>(peak_live_bytes(trace)), options.bandwidth.c_str(),
      times.first_touch, times.engine, times.engine_hits,
      static_cast<unsigned long long>(times.engine_moved), times.woven, times.woven_hits,
      static_cast<unsigned long long>(times.woven_moved));
}

void report(const Trace& trace, const Options& options) {
  Layout small = recorded_layout(trace, kPage), grouped = context_layout(trace, kPage);
  std::vector<uint32_t> sites = contexts_of(trace, false), contexts = contexts_of(trace, true);
  uint32_t context_count = 0;
  for (uint32_t context : contexts) context_count = std::max(context_count, context + 1);
  printf(
      "{\"schema\": 1, \"workload\": \"%s\", \"objects\": %zu, \"contexts\": %u, \"live_bytes\": "
      "%llu, \"accesses\": %llu,\n"
      "  \"epochs\": %zu, \"fast_bytes\": %llu, \"sampled_one_in\": %llu,\n",
      trace.workload.c_str(), trace.objects.size(), context_count,
      static_cast<unsigned long long>(peak_live_bytes(trace)),
      static_cast<unsigned long long>(judged_accesses(trace)),
      trace.epochs.size() - trace.warm_epochs, static_cast<unsigned long long>(options.fast_bytes),
      static_cast<unsigned long long>(options.rate));
  printf(
      "  \"rho\": {\"site\": %.4f, \"site_depth\": %.4f, \"site_log\": %.4f, \"site_depth_log\": "
      "%.4f},\n",
      explained_variance(trace, sites, false), explained_variance(trace, contexts, false),
      explained_variance(trace, sites, true), explained_variance(trace, contexts, true));
  printf("  \"objects_static\": %.4f,\n  \"layouts\": {\n",
         best_static_objects(trace, options.fast_bytes));
  print_layout(trace, "recorded", small, options.fast_bytes);
  printf(",\n");
  print_layout(trace, "recorded_huge", recorded_layout(trace, kHugePage), options.fast_bytes);
  printf(",\n");
  print_layout(trace, "by_context", grouped, options.fast_bytes);
  printf(",\n");
  print_layout(trace, "by_context_huge", context_layout(trace, kHugePage), options.fast_bytes);
  Dynamic dynamic = best_dynamic_pages(trace, small, options.fast_bytes, kMoveCost);
  printf(
      "},\n  \"dynamic\": {\"hits\": %.4f, \"value\": %.4f, \"bound\": %.4f, \"moved_bytes\": "
      "%llu},\n",
      dynamic.hits, dynamic.value, dynamic.bound,
      static_cast<unsigned long long>(dynamic.moved * kPage));
  printf("  \"policies\": {");
  print_policies(trace, small, options);
  printf("},\n  \"epoch_s\": %.3f, \"engine\": {", static_cast<double>(options.epoch_ms) / 1000);
  if (options.engine) print_engine(trace, options);
  printf("}}\n");
}

}  // namespace

int main(int count, char** words) {
  Options options = parse(count, words);
  try {
    Trace trace = load(options.files[0]);
    if (trace.epochs.size() <= trace.warm_epochs)
      throw std::runtime_error("the trace has no epoch to judge");
    if (options.fast_bytes == 0) options.fast_bytes = peak_live_bytes(trace) / 8 / kPage * kPage;
    if (options.fast_bytes == 0)
      throw std::runtime_error("an eighth of the live bytes is less than a huge page");
    options.bandwidth.empty() ? report(trace, options) : report_bandwidth(trace, options);
  } catch (const std::runtime_error& error) {
    fprintf(stderr, "bench_tiering_replay: %s\n", error.what());
    return 1;
  }
  return 0;
}
