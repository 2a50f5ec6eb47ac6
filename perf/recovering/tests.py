"""Tests of what perf/recovery counts and judges, without a tunnel and without root.

usage: python3 perf/recovering/tests.py
"""

import os
import socket
import struct
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from comparison import figures, promises  # noqa: E402
from recovering import verdict  # noqa: E402
from recovering.network import first_syn, most_within  # noqa: E402
from recovering.rows import ROWS  # noqa: E402
from recovering.server import answered  # noqa: E402

KILLED, DEAF = ROWS["killed"], ROWS["deaf"]


def scene(back, refused=0, densest=1, given_up=0):
    return {"back after": back, "away": back, "given up": given_up, "SYNs": densest, "connections": densest,
            "SYNs in 30 s": densest, "logins": 1, "refused": refused}


def scenario(row, ours, others):
    made = verdict.new_results([row])
    for target, scenes in (("culvert", ours), ("autossh", others)):
        for each in scenes:
            made.cell(row.title, target).add(each)
    return made


def judged(row, ours, others):
    """(verdict, why)"""
    (check,) = verdict.judged([row], scenario(row, ours, others))
    return check["verdict"], check["found"]


class Verdicts(unittest.TestCase):
    def test_first_and_equal(self):
        self.assertEqual(judged(KILLED, [scene(1)] * 3, [scene(5)] * 3), (promises.HOLDS, ""))
        self.assertEqual(judged(KILLED, [scene(3)] * 3, [scene(1)] * 3), (promises.HOLDS, ""))
        self.assertEqual(judged(KILLED, [scene(36)] * 3, [scene(30)] * 3), (promises.HOLDS, ""))

    def test_last(self):
        self.assertEqual(judged(KILLED, [scene(3.1)] * 3, [scene(1)] * 3),
                         (promises.FAILS, "culvert was back after 3.1 s, autossh after 1.0 s"))
        self.assertEqual(judged(KILLED, [scene(37)] * 3, [scene(30)] * 3)[0], promises.FAILS)

    def test_medians_are_judged(self):
        self.assertEqual(judged(KILLED, [scene(1), scene(1), scene(90)], [scene(1)] * 3)[0], promises.HOLDS)

    def test_promised_time(self):
        self.assertEqual(judged(DEAF, [scene(15)] * 3, [scene(60)] * 3)[0], promises.HOLDS)
        self.assertEqual(judged(DEAF, [scene(16)] * 3, [scene(60)] * 3)[0], promises.FAILS)

    def test_limiter_is_met_once(self):
        self.assertEqual(judged(KILLED, [scene(1), scene(1), scene(1, refused=1)], [scene(5)] * 3),
                         (promises.FAILS, "culvert met the limit of 5 SYNs in 30 s in 1 of 3 rounds"))
        self.assertEqual(judged(KILLED, [scene(1, densest=6)] * 3, [scene(5)] * 3)[0], promises.FAILS)
        self.assertEqual(judged(KILLED, [scene(1, densest=5)] * 3, [scene(5, refused=3)] * 3)[0], promises.HOLDS)

    def test_never_back(self):
        self.assertEqual(judged(KILLED, [scene(1), scene(1), scene(150, given_up=1)], [scene(5)] * 3)[0], promises.FAILS)

    def test_two_rounds_prove_nothing(self):
        self.assertEqual(judged(KILLED, [scene(9)] * 2, [scene(1)] * 2)[0], promises.NOT_JUDGED)

    def test_what_failed_fails(self):
        made = scenario(KILLED, [scene(1)] * 3, [scene(1)] * 3)
        made.cell(KILLED.title, "autossh").failed.append("it ended")
        self.assertEqual(verdict.judged([KILLED], made)[0]["verdict"], promises.FAILS)
        self.assertEqual(judged(KILLED, [], [])[0], promises.FAILS)

    def test_table(self):
        made = scenario(KILLED, [scene(1), scene(2), scene(4)], [scene(150, refused=9, densest=12, given_up=1)] * 3)
        line = verdict.table(made, verdict.judged([KILLED], made)).splitlines()[-1]
        self.assertEqual([cell.strip() for cell in line.strip("|").split("|")], [
            KILLED.title, "2.0 (1.0–4.0)", "not in 150", "1", "12", "1", "1", "no", "3 of 3", promises.HOLDS])

    def test_readme(self):
        made = scenario(KILLED, [scene(1)] * 3, [scene(2)] * 3)
        about = {"date": "2026-01-02", "command": "perf/recovery", "rounds": 3, "versions": {"autossh": "1.4g"}}
        results = figures.Results(figures.KIND_OF_RECOVERY, about, [made], verdict.judged([KILLED], made))
        text = verdict.for_readme(results, "stem")
        self.assertIn("3 rounds: `perf/recovery` on 2026-01-02", text)
        self.assertIn("perf/results/stem.json", text)
        self.assertIn("1.0 (1.0–1.0)", text)


def packet(flags, destination=22, options=0, version=4, protocol=6):
    header = struct.pack("!BBHHHBBH4s4s", version << 4 | 5 + options, 0, 60, 1, 0, 64, protocol, 0, bytes(4), bytes(4))
    return header + bytes(4 * options) + struct.pack("!HHIIBBHHH", 4000, destination, 77, 0, 0x50, flags, 0, 0, 0)


class Counting(unittest.TestCase):
    def test_syns(self):
        self.assertEqual(first_syn(packet(0x02)), (4000, 77))
        # With ECN, and behind options.
        self.assertEqual(first_syn(packet(0xC2, options=2)), (4000, 77))

    def test_what_is_none(self):
        for other in (packet(0x12), packet(0x10), packet(0x02, destination=80), packet(0x02, version=6),
                      packet(0x02, protocol=17), packet(0x02)[:30], b""):
            self.assertIsNone(first_syn(other))

    def test_most_within(self):
        self.assertEqual(most_within([], 30), 0)
        self.assertEqual(most_within([0, 1, 2, 29.9, 30, 31], 30), 4)
        self.assertEqual(most_within([0, 30, 60], 30), 1)


class Names(unittest.TestCase):
    @staticmethod
    def question(kind):
        return struct.pack("!HHHHHH", 99, 0x0100, 1, 0, 0, 1) + b"\6server\4test\0" + struct.pack("!HH", kind, 1) + b"edns"

    def test_address(self):
        found = answered(self.question(1), "10.99.1.3")
        self.assertEqual(found[:2], struct.pack("!H", 99))
        self.assertEqual(struct.unpack_from("!HHHHH", found, 2), (0x8580, 1, 1, 0, 0))
        self.assertTrue(found.endswith(struct.pack("!HHHIH", 0xC00C, 1, 1, 5, 4) + socket.inet_aton("10.99.1.3")))

    def test_no_data(self):
        found = answered(self.question(28), "10.99.1.3")
        self.assertEqual(struct.unpack_from("!HHHHH", found, 2), (0x8580, 1, 0, 0, 0))
        self.assertTrue(found.endswith(struct.pack("!HH", 28, 1)))


unittest.main()
