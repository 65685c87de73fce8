// See ladder.h.
#include "runtime/tiering/samplers/ladder.h"

#include "runtime/tiering/samplers/accessed_bits.h"
#include "runtime/tiering/samplers/hardware.h"
#include "runtime/tiering/samplers/hint_faults.h"
#include "runtime/tiering/samplers/write_tracking.h"

namespace hms::tiering {
namespace {

// Sizes, lifetimes and profiles are all that the engine has then.
class NoSampler : public Sampler {
 public:
  const char* name() const override { return "none"; }
  Sight sight() const override { return {}; }
  Status start() override { return {}; }
  void stop() override {}
  void collect(const std::vector<UnitView>& /*units*/, std::vector<Reading>* out) override {
    out->clear();
  }
  void set_effort(double /*share*/) override {}
};

template <typename T>
std::unique_ptr<Sampler> make(double /*cpu_share*/) {
  return std::make_unique<T>();
}
std::unique_ptr<Sampler> make_accessed_bits(double cpu_share) {
  return std::make_unique<AccessedBits>(cpu_share);
}

// Best first. Accessed bits come before what sees writes only; hint faults last, because whoever
// switched balancing on lets the kernel move pages, and the engine then leaves them alone.
using Maker = std::unique_ptr<Sampler> (*)(double cpu_share);
constexpr Maker kLadder[] = {make<HardwareSampler>, make_accessed_bits, make<WriteTracking>,
                             make<HintFaults>, make<NoSampler>};

std::string sees(const Sight& sight) {
  if (sight.reads && sight.writes) return "reads and writes";
  return sight.writes ? "writes" : "nothing";
}

}  // namespace

Choice open_best_sampler(const std::string& only, double cpu_share) {
  Choice choice;
  for (Maker maker : kLadder) {
    std::unique_ptr<Sampler> sampler = maker(cpu_share);
    const std::string name = sampler->name();
    if (!only.empty() && name != only && name != "none") continue;
    choice.rungs.push_back({name, sees(sampler->sight()), sampler->start()});
    if (!choice.rungs.back().status.ok()) continue;
    choice.sampler = std::move(sampler);
    break;
  }
  return choice;
}

std::vector<Rung> try_samplers() {
  std::vector<Rung> rungs;
  for (Maker maker : kLadder) {
    std::unique_ptr<Sampler> sampler = maker(kSamplerShare);
    rungs.push_back({sampler->name(), sees(sampler->sight()), sampler->start()});
    sampler->stop();
  }
  return rungs;
}

std::string sampler_names() {
  std::string names;
  for (Maker maker : kLadder)
    names += (names.empty() ? "" : ", ") + std::string(maker(kSamplerShare)->name());
  return names;
}

}  // namespace hms::tiering
