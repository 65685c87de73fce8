#!/usr/bin/env python3
"""Writes xml/*.xml: hwloc 2 descriptions of real boxes. Needs lstopo-no-graphics (hwloc-nox).

The skeleton (sockets, cores, NUMA nodes) is hwloc's own export of a synthetic description; this
script then sets what synthetic descriptions cannot say: OS numbers, subtypes, distances, memory
attributes and GPUs. The numbers and where they are from are in README.md.
"""
import os
import subprocess
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.abspath(__file__))


def skeleton(spec):
    text = subprocess.run(["lstopo-no-graphics", "-i", spec, "--of", "xml"], check=True,
                          capture_output=True, text=True).stdout
    root = ET.fromstring(text)
    for parent in list(root.iter("object")):
        for child in list(parent):
            if child.tag in ("info", "page_type"):
                parent.remove(child)
    for support in root.findall("support"):
        root.remove(support)
    return root


def nodes(root):
    return [o for o in root.iter("object") if o.get("type") == "NUMANode"]


def mask_bit(number):
    """A hwloc bitmap with one bit: 32-bit words, highest first."""
    words = number // 32
    return ",".join(["0x%08x" % (1 << (number % 32))] + ["0x0"] * words) if words else \
        "0x%08x" % (1 << number)


def union(numbers):
    words = [0] * (max(numbers) // 32 + 1)
    for n in numbers:
        words[n // 32] |= 1 << (n % 32)
    return ",".join("0x%08x" % w for w in reversed(words))


def members(mask):
    bits = []
    words = mask.split(",")
    for i, word in enumerate(reversed(words)):
        value = int(word or "0", 16)
        bits += [i * 32 + b for b in range(32) if value >> b & 1]
    return bits


def renumber(root, new):
    """Gives the NUMA nodes new OS numbers, in the objects and in every nodeset."""
    for o in root.iter("object"):
        for name in ("nodeset", "complete_nodeset", "allowed_nodeset"):
            if o.get(name):
                o.set(name, union([new[n] for n in members(o.get(name))]))
        if o.get("type") == "NUMANode":
            o.set("os_index", str(new[int(o.get("os_index"))]))


def subtypes(root, by_number):
    for node in nodes(root):
        name = by_number.get(int(node.get("os_index")))
        if name:
            node.set("subtype", name)


def distances(root, numbers, rows):
    d = ET.SubElement(root, "distances2", type="NUMANode", nbobjs=str(len(numbers)), kind="5",
                      name="NUMALatency", indexing="os")
    text = " ".join(map(str, numbers)) + " "
    ET.SubElement(d, "indexes", length=str(len(text))).text = text
    values = [str(v) for row in rows for v in row]
    for i in range(0, len(values), 10):
        text = " ".join(values[i:i + 10]) + " "
        ET.SubElement(d, "u64values", length=str(len(text))).text = text


def memattr(root, name, flags, values):
    """values: (node, cpuset of the initiator, value)"""
    by_number = {int(n.get("os_index")): n for n in nodes(root)}
    attr = ET.SubElement(root, "memattr", name=name, flags=str(flags))
    for node, cpuset, value in values:
        ET.SubElement(attr, "memattr_value", target_obj_type="NUMANode",
                      target_obj_gp_index=by_number[node].get("gp_index"), value=str(value),
                      initiator_cpuset=cpuset)


def attributes(root, table):
    """table: node -> (bandwidth in GB/s, latency in ns), from the CPUs that the node is local to."""
    by_number = {int(n.get("os_index")): n for n in nodes(root)}
    mib = lambda gb: round(gb * 1e9 / 2**20)
    memattr(root, "Bandwidth", 5, [(n, by_number[n].get("cpuset"), mib(bw))
                                   for n, (bw, _) in table.items()])
    memattr(root, "Latency", 6, [(n, by_number[n].get("cpuset"), lat)
                                 for n, (_, lat) in table.items()])


def add_gpu(root, package, address, gib, gb_s, index):
    """A GPU below a host bridge of a package, with its link speed and its memory."""
    pack = [o for o in root.iter("object") if o.get("type") == "Package"][package]
    bridge = ET.SubElement(pack, "object", type="Bridge", gp_index=str(10000 + 10 * index),
                           bridge_type="0-1", depth="0",
                           bridge_pci="%s:[00-ff]" % address.split(":")[0])
    pci = ET.SubElement(bridge, "object", type="PCIDev", gp_index=str(10001 + 10 * index),
                        pci_busid=address, pci_type="0302 [10de:1db1] [10de:1212] a1",
                        pci_link_speed="%.6f" % gb_s)
    osdev = ET.SubElement(pci, "object", type="OSDev", gp_index=str(10002 + 10 * index),
                          name="cuda%d" % index, subtype="CUDA", osdev_type="5")
    ET.SubElement(osdev, "info", name="CUDAGlobalMemorySize", value=str(gib * 1024 * 1024))


def write(root, name):
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
    with open(os.path.join(HERE, "xml", name + ".xml"), "w") as f:
        f.write('<?xml version="1.0" encoding="UTF-8"?>\n'
                '<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n' + text + "\n")


def xeon_max():
    # Two sockets in SNC4, flat mode: 8 clusters of 14 cores, DDR5 nodes 0-7, HBM nodes 8-15.
    root = skeleton("pack:2 group:4 [numa(memory=64GiB)] [numa(memory=16GiB)] core:14 pu:1")
    renumber(root, {i: i // 2 + (i % 2) * 8 for i in range(16)})
    subtypes(root, {n: "DRAM" if n < 8 else "HBM" for n in range(16)})
    order = list(range(16))
    far = lambda a, b: 10 if a == b else 12 if a // 4 == b // 4 else 21
    rows = [[far(a % 8, b % 8) + (3 if (a >= 8) != (b >= 8) else 0) for b in order] for a in order]
    distances(root, order, rows)
    attributes(root, {**{n: (76.8, 110) for n in range(8)}, **{n: (409.6, 130) for n in range(8, 16)}})
    write(root, "xeon-max-snc4-flat")


def xeon_cxl():
    root = skeleton("pack:2 [numa(memory=256GiB)] core:56 pu:1")
    # The expander hangs off socket 0: a third node, local to that socket's CPUs.
    renumber(root, {0: 0, 1: 1})
    pack = [o for o in root.iter("object") if o.get("type") == "Package"][0]
    node = nodes(root)[0]
    extra = dict(node.attrib, os_index="2", gp_index="9000", local_memory=str(128 * 2**30),
                 nodeset=mask_bit(2), complete_nodeset=mask_bit(2), subtype="CXL-DRAM")
    pack.insert(list(pack).index(node) + 1, ET.Element("object", extra))
    inside = [pack] + [o for o in pack.iter("object") if o.get("type") != "NUMANode"]
    machine = root.find("object")
    for o in dict.fromkeys(inside + [machine]):
        for name in ("nodeset", "complete_nodeset", "allowed_nodeset"):
            if o.get(name):
                o.set(name, union(members(o.get(name)) + [2]))
    subtypes(root, {0: "DRAM", 1: "DRAM"})
    distances(root, [0, 1, 2], [[10, 21, 14], [21, 10, 24], [14, 24, 10]])
    attributes(root, {0: (307.2, 110), 1: (307.2, 110), 2: (63, 250)})
    write(root, "xeon-cxl")


def knl():
    root = skeleton("pack:1 [numa(memory=96GiB)] [numa(memory=16GiB)] core:68 pu:1")
    subtypes(root, {1: "MCDRAM"})
    distances(root, [0, 1], [[10, 31], [31, 10]])
    attributes(root, {0: (90, 130), 1: (420, 155)})
    write(root, "knl-flat")


def pmem():
    root = skeleton("pack:2 [numa(memory=192GiB)] [numa(memory=768GiB)] core:24 pu:1")
    renumber(root, {0: 0, 1: 2, 2: 1, 3: 3})
    subtypes(root, {0: "DRAM", 1: "DRAM", 2: "NVM", 3: "NVM"})
    distances(root, [0, 1, 2, 3],
              [[10, 21, 17, 28], [21, 10, 28, 17], [17, 28, 10, 28], [28, 17, 28, 10]])
    attributes(root, {0: (105, 81), 1: (105, 81), 2: (39.4, 169), 3: (39.4, 169)})
    write(root, "2s-dram-pmem")


def power9():
    root = skeleton("pack:2 [numa(memory=256GiB)] [numa(memory=16GiB)] [numa(memory=16GiB)] "
                    "core:20 pu:4")
    renumber(root, {0: 0, 1: 255, 2: 254, 3: 8, 4: 253, 5: 252})
    subtypes(root, {n: "GPUMemory" for n in (252, 253, 254, 255)})
    owner = {255: "0004:04:00.0", 254: "0004:05:00.0", 253: "0035:03:00.0", 252: "0035:04:00.0"}
    for node in nodes(root):
        if int(node.get("os_index")) in owner:
            ET.SubElement(node, "info", name="PCIBusID", value=owner[int(node.get("os_index"))])
    order = [0, 8, 252, 253, 254, 255]
    rows = [[10 if a == b else 40 if {a, b} == {0, 8} else 80 for b in order] for a in order]
    distances(root, order, rows)
    for index, (package, address) in enumerate([(0, "0004:04:00.0"), (0, "0004:05:00.0"),
                                                (1, "0035:03:00.0"), (1, "0035:04:00.0")]):
        add_gpu(root, package, address, 16, 75, index)
    write(root, "power9-gpu")


def a64fx():
    root = skeleton("pack:1 group:4 [numa(memory=8GiB)] core:12 pu:1")
    subtypes(root, {n: "HBM" for n in range(4)})
    order = list(range(4))
    distances(root, order, [[10 if a == b else 20 for b in order] for a in order])
    attributes(root, {n: (256, 130) for n in order})
    write(root, "a64fx")


os.makedirs(os.path.join(HERE, "xml"), exist_ok=True)
for make in (xeon_max, xeon_cxl, knl, pmem, power9, a64fx):
    make()
