#!/usr/bin/python3
"""Builds an exported topology (`horizon scenario export NAME`) in Mininet, and takes it down again.

    topology.py FILE [--switch auto|ovs|bridge] [--ping]
    topology.py --driven [--switch auto|ovs|bridge] [--links own|given]

Hosts and routers are Mininet nodes, subnets are switches (Open vSwitch where its kernel module and daemons work, else a Linux bridge),
access links are Mininet's links. Impairments are the export's own qdiscs, put on by a TCLink, and read back: what the kernel does not
hold as it was told ends this with an error.

When everything stands, one line of JSON says so, with the process of each host: `mnexec -a PID COMMAND` runs a command there. It
stands until the end of standard input or SIGTERM. With --ping it is tried out instead: every host pings every other, the line says
who had an answer, and the exit code is 1 if somebody had none, as who wants to get through a NAT from outside.

Driven (by mininet-network.ts) it reads the export as the first line of standard input. Links that are given are made by somebody else,
who then says "join"; NATs are that one's too.

Mininet changes the machine that it runs on, so this wants one of its own: a guest (`horizon lab guest`), or
`unshare -n -m -p -f --mount-proc`. It refuses to run beside anybody's network.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

from mininet.link import Intf, Link, TCIntf, TCLink
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Host, OVSSwitch, Switch

COMMAND_S = 30
OVS_START_S = 10
# How old a kernel must be: Open vSwitch counts processors once in 10 s of its clock, finds none before, and then handles no packets.
OVS_KERNEL_S = 10.2
PING_S = 2
COMPLAINT_LINES = 2
# Private memory of whoever has mounts of its own, which is made sure of first.
SCRATCH = "/dev/shm"


class Refused(Exception):
    """Why the topology cannot be built here, in one line."""


# --- running tools


def run(words, text=None, node=None):
    """Runs a command, on a node if one is given; its output. A failure is an error."""
    argv = words if node is None else ["mnexec", "-a", str(node.pid)] + words
    try:
        done = subprocess.run(argv, input=text or "", capture_output=True, text=True, timeout=COMMAND_S)
    except OSError as error:
        raise Refused("%s cannot be run: %s" % (argv[0], error.strerror))
    if done.returncode != 0:
        said = "; ".join((done.stderr or done.stdout).strip().split("\n")[:COMPLAINT_LINES])
        where = "" if node is None else " on %s" % node.name
        raise Refused("%s%s failed (%d): %s" % (" ".join(words), where, done.returncode, said))
    return done.stdout


def lines(all_lines):
    return "".join(line + "\n" for line in all_lines)


def set_up(settings, node=None):
    # A kernel without IPv6, or without bridge hooks, has no such settings.
    run(["sysctl", "-q", "-e", "-w"] + settings, node=node)


# --- links


class PlannedIntf(TCIntf):
    """An interface of a TCLink with the export's qdiscs in the place of Mininet's own, which know neither bursts nor queues' kinds."""

    def config(self, way=None, **params):  # pylint: disable=arguments-differ
        result = Intf.config(self, **params)
        self.way = way
        if way is not None and way["qdiscs"]:
            # Open vSwitch takes qdiscs away when it gets a port; this is then called again.
            subprocess.run(["mnexec", "-a", str(self.node.pid), "tc", "qdisc", "del", "dev", self.name, "root"], capture_output=True)
            for qdisc in way["qdiscs"]:
                run(["tc"] + qdisc["words"], node=self.node)
        # A program's large pieces would pass the qdisc as one packet.
        run(["ip", "link", "set", "dev", self.name, "gso_max_segs", "1"], node=self.node)
        return result

    def problems(self):
        """In what the kernel's qdiscs differ from the plan."""
        if self.way is None or not self.way["qdiscs"]:
            return []
        held = json.loads(run(["tc", "-j", "-d", "-r", "qdisc", "show", "dev", self.name], node=self.node))
        planned = self.way["qdiscs"]
        if len(held) != len(planned):
            return ["%d qdiscs were planned, %d are there" % (len(planned), len(held))]
        return [problem for one, other in zip(planned, held) for problem in qdisc_problems(one, other)]


def qdisc_problems(planned, held):
    place = "%s %s" % ("root" if held.get("root") else held.get("parent"), held["handle"])
    if (planned["kind"], planned["place"]) != (held["kind"], place):
        return ["%s at %s was planned, %s at %s is there" % (planned["kind"], planned["place"], held["kind"], place)]
    found = held_settings(held)
    return [
        "%s %s %s was planned, %s is there" % (planned["kind"], name, wanted, found.get(name, 0))
        for name, wanted in planned["holds"].items()
        if not is_near(wanted, found.get(name, 0))
    ]


def is_near(wanted, found):
    """Up to the rounding of tc, which prints microseconds and six digits of a fraction."""
    if isinstance(wanted, str) or isinstance(found, str):
        return wanted == found
    return abs(wanted - found) <= 18 + abs(wanted) * 1e-3 if wanted > 10000 else abs(wanted - found) <= 1.1 + abs(wanted) * 2e-5


def held_settings(held):
    """What `tc -j -d -r` shows of a qdisc, under the names of the export."""
    options = held.get("options", {})
    stab = held.get("stab", {})
    settings = {"stab overhead B": stab.get("overhead", 0), "stab linklayer": stab.get("linklayer", 0)}
    settings.update({"limit": options.get("limit", 0), "ecn": 1 if options.get("ecn") else 0})
    if held["kind"] == "netem":
        delay, rate = options.get("delay", {}), options.get("rate", {})
        settings.update({"delay us": delay.get("delay", 0) * 1e6, "jitter us": delay.get("jitter", 0) * 1e6})
        settings["loss ppm"] = options.get("loss-random", {}).get("loss", 0) * 1e6
        for name in ("p", "r", "1-h", "1-k"):
            settings["gemodel %s ppm" % name] = options.get("loss-gemodel", {}).get(name, 0) * 1e6
        for name in ("corrupt", "duplicate", "reorder"):
            settings["%s ppm" % name] = options.get(name, {}).get(name, 0) * 1e6
        settings.update({"gap": options.get("gap", 0), "rate B/s": rate.get("rate", 0)})
        settings["packet overhead B"] = rate.get("packetoverhead", 0)
    elif held["kind"] == "tbf":
        burst = re.match(r"\d+", str(options.get("burst", 0)))
        settings.update({"rate B/s": options.get("rate", 0), "burst": int(burst.group()) if burst else 0})
    else:
        settings.update({"target us": options.get("target", 0), "interval us": options.get("interval", 0)})
    return settings


# --- switches


class PlannedBridge(Switch):
    """A Linux bridge, as the export describes it; Mininet's own wants a tool that is hardly installed any more."""

    def __init__(self, name, plan=None, **params):
        self.plan = plan
        Switch.__init__(self, name, **params)

    def start(self, _controllers):
        run(["ip", "-batch", "-"], lines(self.plan["bridge"]))
        run(["bridge", "-batch", "-"], lines(self.plan["table"]))

    def stop(self, _deleteIntfs=True):
        subprocess.run(["ip", "link", "del", "dev", self.name], capture_output=True)


class PlannedOvs(OVSSwitch):
    """An Open vSwitch of its kernel module that acts as a plain switch, which learns where addresses lie."""

    def __init__(self, name, plan=None, **params):  # pylint: disable=unused-argument
        OVSSwitch.__init__(self, name, failMode="standalone", **params)


class OvsDaemons:
    """Daemons of Open vSwitch for this network alone: the machine's, if it has some, work in another one."""

    def __init__(self):
        self.folder = SCRATCH + "/ovs"
        self.pids = []

    @staticmethod
    def missing():
        """Why Open vSwitch cannot be used here; None if it can."""
        for tool in ("ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-dpctl", "ovsdb-tool"):
            if subprocess.run(["which", tool], capture_output=True).returncode != 0:
                return "%s is not installed: apt install openvswitch-switch" % tool
        subprocess.run(["modprobe", "-q", "openvswitch"], capture_output=True)
        asked = subprocess.run(["ovs-dpctl", "dump-dps"], capture_output=True, text=True)
        return None if asked.returncode == 0 else "this kernel has no module openvswitch"

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        os.environ.update({name: self.folder for name in ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR")})
        database = self.folder + "/conf.db"
        # Of an earlier one with the same memory.
        if not os.path.exists(database):
            run(["ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema"])
        quiet = ["--log-file=%s/log" % self.folder, "-vconsole:off"]
        self.spawn(["ovsdb-server", database, "--remote=punix:%s/db.sock" % self.folder, "--pidfile"] + quiet)
        self.wait_for(self.folder + "/db.sock")
        run(["ovs-vsctl", "--no-wait", "init"])
        self.spawn(["ovs-vswitchd", "--pidfile"] + quiet)
        self.wait_for(self.folder + "/ovs-vswitchd.pid")

    def spawn(self, words):
        self.pids.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    @staticmethod
    def wait_for_clock():
        time.sleep(max(0.0, OVS_KERNEL_S - time.clock_gettime(time.CLOCK_MONOTONIC)))

    @staticmethod
    def wait_for(path):
        late = time.monotonic() + OVS_START_S
        while not os.path.exists(path):
            if time.monotonic() > late:
                raise Refused("Open vSwitch did not start within %d s" % OVS_START_S)
            time.sleep(0.02)

    def stop(self):
        for process in reversed(self.pids):
            process.terminate()
        for process in self.pids:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def choose_switch(wanted):
    if wanted == "bridge":
        return "bridge"
    missing = OvsDaemons.missing()
    if missing is None:
        return "ovs"
    if wanted == "ovs":
        raise Refused("no Open vSwitch here: %s" % missing)
    return "bridge"


# --- the network


class Network:
    def __init__(self, export, switch, links, with_nat):
        self.export = export
        self.kind = switch
        self.links = links
        self.with_nat = with_nat
        self.ovs = OvsDaemons() if switch == "ovs" else None
        # Without this Mininet would change settings of the whole machine.
        Mininet.inited = True
        self.net = Mininet(topo=None, build=False, controller=None, autoSetMacs=False)
        self.nodes = {}
        self.interfaces = []

    def make_nodes(self):
        set_up(self.export["settings"])
        if self.ovs is not None:
            self.ovs.start()
        switch = PlannedBridge if self.ovs is None else PlannedOvs
        for plan in self.export["switches"]:
            self.net.addSwitch(plan["name"], cls=switch, plan=plan)
        for plan in self.export["nodes"]:
            self.nodes[plan["name"]] = self.net.addHost(plan["name"], cls=Host, ip=None)
            set_up(plan["settings"], self.nodes[plan["name"]])

    def make_links(self):
        for plan in self.export["nodes"]:
            for own in plan["interfaces"]:
                if self.links == "own":
                    self.make_link(plan["name"], own)
                else:
                    self.adopt(own)

    def make_link(self, name, own):
        refusals = own["up"]["refusals"] + own["down"]["refusals"]
        if refusals:
            raise Refused("link %s: %s" % (own["name"], "; ".join(refusals)))
        impaired = own["up"]["qdiscs"] or own["down"]["qdiscs"]
        params = {"intfName1": own["device"], "intfName2": own["port"]}
        if impaired:
            params.update(cls=TCLink, cls1=PlannedIntf, cls2=PlannedIntf)
            params.update(params1={"way": own["up"]}, params2={"way": own["down"]})
        else:
            params.update(cls=Link)
        link = self.net.addLink(name, own["switch"], **params)
        if impaired:
            self.interfaces += [(own["name"], "up", link.intf1), (own["name"], "down", link.intf2)]

    def adopt(self, own):
        """The port of a link that somebody else has made; its other end is in the node's namespace already."""
        switch = self.net.get(own["switch"])
        Intf(own["port"], node=switch)

    def start(self):
        self.make_links()
        for plan in self.export["nodes"]:
            run(["ip", "-batch", "-"], lines(plan["addresses"]), self.nodes[plan["name"]])
        if self.ovs is not None:
            self.ovs.wait_for_clock()
        for switch in self.net.switches:
            switch.start([])
        if self.with_nat:
            for plan in self.export["nodes"]:
                if plan["nat"] is not None:
                    self.start_nat(plan["nat"], self.nodes[plan["name"]])
        self.verify()

    @staticmethod
    def start_nat(nat, node):
        try:
            run(["nft", "-f", "-"], nat["rules"], node)
        except Refused as error:
            raise Refused("NAT %s needs a kernel with nftables for IPv4, which a guest has not: %s" % (node.name, error))
        set_up(nat["settings"], node)

    def verify(self):
        for name, way, interface in self.interfaces:
            problems = interface.problems()
            if problems:
                raise Refused("link %s/%s: the kernel holds something else than asked: %s" % (name, way, "; ".join(problems)))

    def stop(self):
        # Links end with the hosts' namespaces; to delete each end of each one takes long.
        self.net.links = []
        self.net.stop()
        if self.ovs is not None:
            self.ovs.stop()

    def state(self):
        pids = {name: node.pid for name, node in self.nodes.items()}
        return {"pids": pids, "switchPid": os.getpid(), "switch": self.kind, "links": self.links, "impaired": len(self.interfaces)}

    def ping_all(self):
        """Who has an answer from whom."""
        hosts = [plan for plan in self.export["nodes"] if not plan["forwards"]]
        answers = {}
        for source in hosts:
            pings = {}
            for target in hosts:
                if target is not source:
                    words = ["ping", "-n", "-q", "-c", "1", "-W", str(PING_S), target["interfaces"][0]["address"]]
                    pings[target["name"]] = self.nodes[source["name"]].popen(words)
            answers[source["name"]] = {name: ping.wait() == 0 for name, ping in pings.items()}
        return answers


def refuse_company():
    """Mininet deletes devices and ends processes by name: nobody else may be there."""
    if os.getuid() != 0:
        raise Refused("Mininet needs root")
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    up = [name for name in others if "UP" in run(["ip", "-o", "link", "show", "dev", name]).split("<")[1].split(">")[0].split(",")]
    if up:
        raise Refused("%s is up here: run this in a network of its own: unshare -n -m -p -f --mount-proc %s …" % (up[0], sys.argv[0]))


def say(value):
    print(json.dumps(value), flush=True)


class Stopped(Exception):
    """SIGTERM: an orderly end."""


def on_term(_signal, _frame):
    raise Stopped()


def parse():
    parser = argparse.ArgumentParser(description="Builds an exported topology in Mininet.")
    parser.add_argument("file", nargs="?", help="made by: horizon scenario export NAME")
    parser.add_argument("--switch", choices=["auto", "ovs", "bridge"], default="auto")
    parser.add_argument("--ping", action="store_true", help="try it out and end")
    parser.add_argument("--driven", action="store_true", help="read the export from standard input")
    parser.add_argument("--links", choices=["own", "given"], default="own")
    options = parser.parse_args()
    if (options.file is None) != options.driven:
        parser.error("give either a file or --driven")
    return options


def read_export(options):
    if options.driven:
        export = json.loads(sys.stdin.readline())
    else:
        with open(options.file, encoding="utf-8") as file:
            export = json.load(file)
    if export.get("format") != "horizon-topology/1":
        raise Refused("%s is not a topology of this version" % (options.file or "standard input"))
    return export


def serve(options):
    refuse_company()
    export = read_export(options)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", SCRATCH], check=True)
    # So that it can be switched off before anything is made; a bridge would load it.
    subprocess.run(["modprobe", "-q", "ipv6"], capture_output=True)
    network = Network(export, choose_switch(options.switch), options.links, not options.driven)
    try:
        network.make_nodes()
        if options.links == "given":
            say(network.state())
            if sys.stdin.readline().strip() != "join":
                return 0
        network.start()
        if options.ping:
            answers = network.ping_all()
            say({"state": network.state(), "answers": answers})
            return 0 if all(all(row.values()) for row in answers.values()) else 1
        say(network.state())
        sys.stdin.read()
        return 0
    except Stopped:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        network.stop()


def main():
    setLogLevel("warning")
    signal.signal(signal.SIGTERM, on_term)
    try:
        return serve(parse())
    except Refused as error:
        print("topology.py: %s" % error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
