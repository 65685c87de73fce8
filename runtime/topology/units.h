// How numbers are written for people, and keys compared: one place, so that every door agrees.
#pragma once

#include <cstdint>
#include <string>

namespace hms::topology {

std::string format_bytes(uint64_t bytes);                   // "512 MiB", "1.5 GiB"
std::string format_bandwidth(double bytes_s);               // "28 GiB/s"
std::string format_latency(double ns);                      // "250 ns"
bool key_less(const std::string& a, const std::string& b);  // "node:2" before "node:10"

}  // namespace hms::topology
