import CulvertIO
import Testing

@testable import culvert_load

@Suite struct PartsTests {
    @Test(
        "times", arguments: [("10", 10_000), ("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("24h", 86_400_000)])
    func times(_ text: String, _ milliseconds: Int) throws {
        #expect(try Amounts.time(text) == .milliseconds(milliseconds))
    }

    @Test("what is no time", arguments: ["", "s", "-1", "1.5", "25h", "10 s", "99999999999999999999", "1d"])
    func notTimes(_ text: String) { #expect(throws: (any Error).self) { try Amounts.time(text) } }

    @Test("sizes", arguments: [("1", 1), ("64", 64), ("16K", 16_384), ("16k", 16_384), ("1G", 1 << 30)])
    func sizes(_ text: String, _ bytes: Int) throws { #expect(try Amounts.size(text) == bytes) }

    @Test("what is no size", arguments: ["", "0", "K", "2G", "-1", "1.5K", "99999999999999999999"])
    func notSizes(_ text: String) { #expect(throws: (any Error).self) { try Amounts.size(text) } }

    @Test("numbers as text")
    func decimals() {
        #expect(Amounts.decimal(1.005, 1) == "1.0")
        #expect(Amounts.decimal(0.0499, 2) == "0.05")
        #expect(Amounts.decimal(-2.5, 1) == "-2.5")
        #expect(Amounts.decimal(9.999, 2) == "10.00")
        #expect(Amounts.rate(1_250_000_000) == "10.00 Gbit/s (1250.0 MB/s)")
        #expect(Amounts.latency(1_234) == "1.2 µs")
        #expect(Amounts.latency(1_234_567) == "1.23 ms")
    }

    @Test("the threads of a rate are due in turn, evenly")
    func schedule() {
        let begin = Tick(nanoseconds: 1_000_000_000)
        var due: [UInt64] = []
        for thread in 0..<3 {
            var schedule = Schedule(begin: begin, rate: 1000, thread: thread, threads: 3)
            for _ in 0..<4 {
                due.append(schedule.next.nanoseconds)
                schedule.take()
            }
        }
        #expect(due.sorted() == (0..<12).map { 1_000_000_000 + $0 * 1_000_000 })
    }

    @Test("moments come out in the order in which they went in")
    func moments() {
        var queue = MomentQueue()
        var next: UInt64 = 0
        for moment in 0..<20_000 as Range<UInt64> {
            queue.add(moment)
            if moment % 3 > 0 {
                #expect(queue.takeFirst() == next)
                next += 1
            }
        }
        #expect(queue.count == 20_000 - Int(next))
        while !queue.isEmpty {
            #expect(queue.first == next)
            #expect(queue.takeFirst() == next)
            next += 1
        }
        #expect(next == 20_000)
    }

    @Test("percentiles to three digits, and several threads as one")
    func latencies() throws {
        var one = Latencies()
        var other = Latencies()
        #expect(one.percentile(50) == nil)
        for value in 1...1000 { one.record(nanoseconds: Int64(value) * 1_000_000) }
        for _ in 0..<1000 { other.record(nanoseconds: 1) }
        one.add(other)
        #expect(one.count == 2000)
        let high = Double(try #require(one.percentile(99)))
        #expect(abs(high / 980e6 - 1) < 0.002)
        #expect(try #require(one.percentile(25)) == 1)
    }

    @Test("a process's name may hold brackets and spaces")
    func processStatus() throws {
        let text = "42 (a) (b c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 3 0 12345 1000000 25 18446744073709551615"
        let reading = try #require(WatchedProcess.reading(text, ticksASecond: 100, pageSize: 4096))
        #expect(reading.processorSeconds == 2)
        #expect(reading.bytes == 25 * 4096)
        #expect(WatchedProcess.reading("42 (a", ticksASecond: 100, pageSize: 4096) == nil)
    }

    @Test("the words of few troubles, the number of all")
    func troubles() {
        var one = TroubleCount()
        for number in 0..<7 { one.add(.reset, "\(number)") }
        var other = one
        other.add(.refused, "last")
        one.add(other)
        #expect(one.total == 15 && one[.reset] == 14 && one[.refused] == 1 && one[.mismatch] == 0)
        #expect(one.described.count == TroubleCount.describedLimit)
    }

    @Test("JSON is quoted")
    func json() {
        var object = JSONObject()
        object.add("a\"\\\n", "b\u{1}")
        object.add("whole", 3)
        object.add("part", 0.5)
        #expect(object.text == #"{"a\"\\\n":"b\u0001","part":0.5,"whole":3}"#)
    }
}
