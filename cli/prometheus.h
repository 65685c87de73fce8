// A report in the text format that Prometheus and its like collect, version 0.0.4: docs/stats.md
// has the names. https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <string>

#include "cli/report.h"

namespace hms::cli {

inline constexpr char kPrometheusType[] = "text/plain; version=0.0.4; charset=utf-8";

std::string to_prometheus(const Report& report);

}  // namespace hms::cli
