// Machines for tests: recorded sysfs trees unpacked to a temporary folder, and trees written by the
// test itself.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "runtime/topology/topology.h"

namespace hms::topology {

// A folder that looks like /sys, gone with its owner.
class TestTree {
 public:
  TestTree() {
    std::string name = testing::TempDir() + "hms-tree-XXXXXX";
    root_ = mkdtemp(name.data());
  }
  ~TestTree() { std::filesystem::remove_all(root_); }
  TestTree(const TestTree&) = delete;
  TestTree& operator=(const TestTree&) = delete;

  // tests/data/machines/sysfs/NAME.txt: "== PATH" lines, each followed by the file's content.
  static std::unique_ptr<TestTree> recorded(const std::string& name) {
    auto tree = std::make_unique<TestTree>();
    std::ifstream in(std::string(HMS_TEST_DATA) + "/machines/sysfs/" + name + ".txt");
    EXPECT_TRUE(in.good()) << name;
    std::string path, content, line;
    while (std::getline(in, line)) {
      if (line.compare(0, 3, "== ") == 0) {
        if (!path.empty()) tree->put(path, content);
        path = line.substr(3);
        content.clear();
      } else {
        content += line + '\n';
      }
    }
    if (!path.empty()) tree->put(path, content);
    return tree;
  }

  void put(const std::string& path, const std::string& content) const {
    std::filesystem::path full = std::filesystem::path(root_) / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << content;
  }
  void remove(const std::string& path) const {
    std::filesystem::remove_all(std::filesystem::path(root_) / path);
  }
  // A node with memory (MiB) and CPUs ("" for none).
  void put_node(int node, unsigned mib, const std::string& cpus,
                const std::string& distances) const {
    std::string dir = "devices/system/node/node" + std::to_string(node);
    std::string prefix = "Node " + std::to_string(node) + " ";
    put(dir + "/meminfo", prefix + "MemTotal: " + std::to_string(mib * 1024UL) + " kB\n" + prefix +
                              "MemFree: " + std::to_string(mib * 512UL) + " kB\n");
    put(dir + "/cpulist", cpus + "\n");
    put(dir + "/distance", distances + "\n");
  }
  void put_access(int node, int initiator, double ns, double mib_s) const {
    std::string dir = "devices/system/node/node" + std::to_string(node) + "/access0/initiators";
    put(dir + "/node" + std::to_string(initiator), "");
    put(dir + "/read_latency", std::to_string(static_cast<long>(ns)) + "\n");
    put(dir + "/read_bandwidth", std::to_string(static_cast<long>(mib_s)) + "\n");
  }

  std::string source() const { return "sysfs:" + root_; }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

inline std::shared_ptr<const Topology> load_ok(const std::string& source) {
  auto loaded = Topology::load(source);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.ok() ? loaded.value() : nullptr;
}

inline std::string xml_machine(const std::string& name) {
  return std::string("xml:") + HMS_TEST_DATA + "/machines/xml/" + name + ".xml";
}

// "node:2 node:0": the keys that a query finds, in order.
inline std::string found(const Topology& t, const std::vector<std::string>& from, Order order,
                         uint32_t understand = 0) {
  Query q;
  for (const std::string& key : from) {
    const Initiator* i = t.find_initiator(key);
    EXPECT_NE(i, nullptr) << key;
    if (i) q.initiators.push_back(i->id);
  }
  q.order = order;
  q.understand = understand;
  auto matches = t.find(q);
  EXPECT_TRUE(matches.ok());
  std::string out;
  for (const Match& m : matches.value()) {
    out += (out.empty() ? "" : " ") + t.target(m.target)->key;
  }
  return out;
}

inline Path path_between(const Topology& t, const std::string& from, const std::string& to) {
  const Initiator* i = t.find_initiator(from);
  const Target* x = t.find_target(to);
  EXPECT_NE(i, nullptr) << from;
  EXPECT_NE(x, nullptr) << to;
  return i && x ? t.path(i->id, x->id) : Path{};
}

}  // namespace hms::topology
