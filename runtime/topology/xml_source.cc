// hwloc 2 XML files, read without libhwloc: its parsers trust their input, and a description of a
// machine may come from anywhere. Format: what `lstopo --of xml` of hwloc 2.x writes.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>

#include "runtime/support/os.h"
#include "runtime/support/os_tree.h"
#include "runtime/topology/described.h"
#include "runtime/topology/hwloc_source.h"
#include "runtime/topology/tree.h"
#include "runtime/topology/xml_parser.h"

namespace hms::topology {
namespace {

constexpr int64_t kMaxFile = 64 << 20;
// Bounds on what is kept, so that a small file cannot become a large graph.
constexpr size_t kMaxMatrix = 1024;  // objects in a distance matrix
constexpr size_t kMaxCells = 4 << 20;
constexpr size_t kMaxNodes = 4096;
constexpr size_t kMaxDevices = 4096;
constexpr const char* kNoText = "";

class Reader : public XmlHandler {
 public:
  Status open(const std::string& tag, const XmlAttributes& attributes) override {
    attributes_ = &attributes;
    Status s;
    if (tags_.empty()) {
      s = open_root(tag);
    } else if (tag == "object") {
      s = open_object();
    } else if (tag == "info" && !objects_.empty()) {
      note_info(get("name"), get("value"));
    } else if (tag == "distances2") {
      matrix_ = Matrix{get("name"), get("type") == "NUMANode", get("indexing") == "os", {}, {}};
    } else if (tag == "memattr") {
      attribute_ = get("name");
    } else if (tag == "memattr_value") {
      note_value();
    }
    tags_.push_back(tag);
    return s;
  }

  Status text(const std::string& content) override {
    if (tags_.back() == "indexes") return numbers(content, kMaxMatrix, &matrix_.indexes);
    if (tags_.back() == "u64values") {
      return numbers(content, matrix_.indexes.size() * matrix_.indexes.size(), &matrix_.values);
    }
    return {};
  }

  Status close(const std::string& tag) override {
    tags_.pop_back();
    if (tag == "object") {
      objects_.pop_back();
    } else if (tag == "distances2") {
      finish_matrix();
    }
    return {};
  }

  Described finish() {
    // Attributes name their nodes by gp_index, which is known only now.
    for (auto& [gp_index, value] : values_) {
      auto at = node_of_.find(gp_index);
      if (at == node_of_.end()) continue;
      value.node = at->second;
      d_.values.push_back(std::move(value));
    }
    return std::move(d_);
  }

 private:
  struct Object {
    std::string type;
    CpuSet cpus;      // of the nearest object that has some: what a device is near to
    int node = -1;    // place in d_.nodes
    int device = -1;  // place in d_.devices of the nearest PCI device
    uint64_t cache = 0;
  };
  struct Matrix {
    std::string name;
    bool nodes = false, by_os = false;
    std::vector<uint64_t> indexes, values;
  };

  std::string get(const char* name) const {
    for (const auto& [key, value] : *attributes_) {
      if (key == name) return value;
    }
    return kNoText;
  }
  int64_t number(const char* name, int64_t otherwise) const {
    return parse_number(get(name)).value_or(otherwise);
  }

  Status open_root(const std::string& tag) {
    if (tag != "topology") {
      return {HMS_EIO, "the root element is <" + tag + ">; a hwloc file has <topology>"};
    }
    if (get("version").compare(0, 2, "2.") != 0) {
      return {HMS_EIO, "the file's version is \"" + get("version").substr(0, 16) +
                           "\"; only those of hwloc 2 are read (lstopo of hwloc 2 converts them)"};
    }
    return {};
  }

  Status open_object() {
    Object o;
    if (!objects_.empty()) {
      o = objects_.back();
      o.node = -1;
    }
    o.type = get("type");
    if (std::string set = get("cpuset"); !set.empty() && !o.cpus.parse(set)) {
      return {HMS_EIO, "cpuset=\"" + set.substr(0, 40) + "\" is no finite set of CPUs"};
    }
    if (objects_.empty()) {
      // What the machine's administrator kept from us is not there; absent means all.
      has_allowed_ = allowed_cpus_.parse(get("allowed_cpuset")) && !allowed_cpus_.empty();
    }
    int64_t number_of = number("os_index", -1);
    if (o.type == "PU" && number_of >= 0 && number_of < kMaxCpus) {
      int cpu = static_cast<int>(number_of);
      if (!has_allowed_ || allowed_cpus_.has(cpu)) d_.cpus.push_back(cpu);
    } else if (o.type == "NUMANode" && number_of >= 0 && number_of < os::kMaxNodes) {
      if (d_.nodes.size() == kMaxNodes) return {HMS_EIO, "more than 4096 NUMA nodes"};
      add_node(static_cast<int>(number_of), &o);
    } else if (o.type == "MemCache") {
      o.cache = static_cast<uint64_t>(std::max<int64_t>(0, number("cache_size", 0)));
    } else if (o.type == "PCIDev") {
      if (d_.devices.size() == kMaxDevices) return {HMS_EIO, "more than 4096 PCI devices"};
      add_device(&o);
    } else if (o.type == "OSDev") {
      add_osdev(o);
    }
    objects_.push_back(std::move(o));
    return {};
  }

  void add_node(int number_of, Object* o) {
    Described::Node node;
    node.number = number_of;
    node.bytes = static_cast<uint64_t>(std::max<int64_t>(0, number("local_memory", 0)));
    node.cpus = o->cpus;
    node.subtype = get("subtype");
    node.cache_bytes = o->cache;
    node_of_[get("gp_index")] = number_of;
    o->node = static_cast<int>(d_.nodes.size());
    d_.nodes.push_back(std::move(node));
  }

  // pci_type="0302 [10de:1db1] [10de:1212] a1": the class first, its upper 16 bits.
  void add_device(Object* o) {
    Described::Device device;
    device.address = get("pci_busid");
    device.pci_class =
        static_cast<unsigned>(strtoul(get("pci_type").substr(0, 4).c_str(), nullptr, 16)) << 8;
    device.link_gb_s = strtod(get("pci_link_speed").c_str(), nullptr);
    device.near = o->cpus;
    o->device = static_cast<int>(d_.devices.size());
    d_.devices.push_back(std::move(device));
  }

  // osdev_type: hwloc_obj_osdev_type_e of hwloc 2, 1 GPU and 5 co-processor.
  void add_osdev(const Object& o) {
    if (o.device < 0) return;
    Described::Device& device = d_.devices[static_cast<size_t>(o.device)];
    if (device.name.empty()) device.name = get("name");
    int64_t type = number("osdev_type", -1);
    device.processor = device.processor || type == 1 || type == 5;
    device_of_[get("gp_index")] = device.address;
  }

  void note_info(const std::string& name, const std::string& value) {
    const Object& o = objects_.back();
    if (o.node >= 0) {
      Described::Node& node = d_.nodes[static_cast<size_t>(o.node)];
      if (name == "PCIBusID") node.device = value;
      if (name == "DAXType") node.dax_type = value;
      if (name == "CXLDevice") node.cxl_device = value;
    } else if (o.type == "OSDev" && o.device >= 0) {
      Described::Device& device = d_.devices[static_cast<size_t>(o.device)];
      device.memory_bytes = std::max(device.memory_bytes, device_memory_info(name, value));
    }
  }

  void note_value() {
    static const std::map<std::string, Described::Attribute> kNames = {
        {"Bandwidth", Described::Attribute::kBandwidth},
        {"Latency", Described::Attribute::kLatency},
        {"ReadBandwidth", Described::Attribute::kReadBandwidth},
        {"ReadLatency", Described::Attribute::kReadLatency}};
    auto known = kNames.find(attribute_);
    CpuSet initiator;
    if (known == kNames.end() || get("target_obj_type") != "NUMANode" ||
        !initiator.parse(get("initiator_cpuset"))) {
      return;
    }
    auto value = static_cast<double>(number("value", 0));
    values_.emplace_back(get("target_obj_gp_index"),
                         Described::Value{known->second, -1, std::move(initiator), value});
  }

  static Status numbers(const std::string& text, size_t most, std::vector<uint64_t>* out) {
    const char* at = text.c_str();
    for (;;) {
      char* end = nullptr;
      uint64_t n = strtoull(at, &end, 10);
      if (end == at) return {};
      if (out->size() == most) return {HMS_EIO, "more numbers in a distance matrix than it holds"};
      out->push_back(n);
      at = end;
    }
  }

  void finish_matrix() {
    size_t n = matrix_.indexes.size();
    if (matrix_.values.size() != n * n) return;
    if (d_.distances.size() + d_.peer_links.size() + n * n > kMaxCells) return;
    bool distances = matrix_.nodes && matrix_.by_os && matrix_.name == "NUMALatency";
    bool peers = is_peer_matrix(matrix_.name) && !matrix_.by_os;
    if (!distances && !peers) return;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        uint64_t value = matrix_.values[i * n + j];
        if (distances && matrix_.indexes[i] < os::kMaxNodes && matrix_.indexes[j] < os::kMaxNodes) {
          d_.distances.push_back(
              {static_cast<int>(matrix_.indexes[i]), static_cast<int>(matrix_.indexes[j]), value});
        }
        if (!peers) continue;
        auto from = device_of_.find(std::to_string(matrix_.indexes[i]));
        auto to = device_of_.find(std::to_string(matrix_.indexes[j]));
        if (from == device_of_.end() || to == device_of_.end()) continue;
        d_.peer_links.push_back({from->second, to->second, static_cast<double>(value)});
      }
    }
  }

  Described d_;
  const XmlAttributes* attributes_ = nullptr;
  std::vector<std::string> tags_;
  std::vector<Object> objects_;
  Matrix matrix_;
  std::string attribute_;
  CpuSet allowed_cpus_;
  bool has_allowed_ = false;
  std::map<std::string, int> node_of_;            // gp_index -> OS number
  std::map<std::string, std::string> device_of_;  // gp_index of an OS device -> PCI address
  std::vector<std::pair<std::string, Described::Value>> values_;
};

Result<std::string> read_bounded(const std::string& path) {
  int64_t bytes = os::file_size(path.c_str());
  char why[128];
  if (bytes == -EINVAL) return Status(HMS_EIO, "xml:" + path + ": is not a regular file");
  if (bytes < 0) {
    return Status(HMS_EIO,
                  "xml:" + path + ": " + strerror_r(static_cast<int>(-bytes), why, sizeof why));
  }
  if (bytes > kMaxFile) return Status(HMS_EIO, "xml:" + path + ": is larger than 64 MiB");
  std::string text(static_cast<size_t>(bytes) + 1, '\0');
  int n = os::read_file(path.c_str(), text.data(), text.size());
  if (n < 0) return Status(HMS_EIO, "xml:" + path + ": " + strerror_r(-n, why, sizeof why));
  text.resize(static_cast<size_t>(n));
  return text;
}

}  // namespace

Status add_hwloc_xml_text(const std::string& text, const std::string& name, Builder* builder) {
  Reader reader;
  if (Status s = parse_xml(text, &reader); !s.ok()) {
    return {s.code(), name + ": " + s.message()};
  }
  return add_described(reader.finish(), name, builder);
}

Status add_hwloc_xml(const std::string& path, Builder* builder) {
  auto text = read_bounded(path);
  if (!text.ok()) return text.status();
  return add_hwloc_xml_text(text.value(), "xml:" + path, builder);
}

}  // namespace hms::topology
