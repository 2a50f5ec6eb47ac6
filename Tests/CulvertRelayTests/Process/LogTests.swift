import CulvertIO
import Synchronization
import Testing

@testable import CulvertRelay

/// Lines that wait, lines that are summed up, and the thread that hands them on.
@Suite struct LogTests {
    private static func line(_ text: String, _ level: Journal.Level = .info) -> Journal.Line {
        Journal.Line(level, text, kind: nil)
    }

    /// `#expect` does not look into what changes while it is asked.
    private static func value<Value>(_ value: Value) -> Value { value }

    private static func texts(_ queue: inout LogQueue) -> [String] {
        var found: [String] = []
        while let line = queue.next() { found.append(line.text) }
        return found
    }

    @Test("lines come out as they went in, over many rounds")
    func order() {
        var limits = LogQueue.Limits()
        limits.lines = 4
        var queue = LogQueue(limits)
        var expected = 0
        for number in 0..<1000 {
            queue.add(Self.line("\(number)"))
            guard number % 3 == 2 else { continue }
            for _ in 0..<3 {
                #expect(Self.value(queue.next()?.text) == "\(expected)")
                expected += 1
            }
        }
        #expect(Self.texts(&queue) == ["999"])
        #expect(queue.isEmpty)
    }

    @Test("what a full queue refuses is told where it is missing, with its number")
    func dropped() {
        var limits = LogQueue.Limits()
        (limits.lines, limits.errorLines) = (2, 1)
        var queue = LogQueue(limits)
        for text in ["a", "b", "c", "d"] { queue.add(Self.line(text)) }
        queue.add(Self.line("an error", .error))
        queue.add(Self.line("another", .error))
        #expect(Self.value(queue.next()?.text) == "a")
        let told = "dropped: whoever reads the log does not keep up"
        #expect(Self.texts(&queue) == ["b", "2 lines were \(told)", "an error", "1 line was \(told)"])
        #expect(queue.isEmpty)
        queue.add(Self.line("e"))
        #expect(Self.texts(&queue) == ["e"])
    }

    @Test("long lines fill the queue as many do")
    func long() {
        var limits = LogQueue.Limits()
        (limits.bytes, limits.errorBytes) = (10, 5)
        var queue = LogQueue(limits)
        queue.add(Self.line("12345678"))
        queue.add(Self.line("abc"))
        queue.add(Self.line("ab"))
        queue.add(Self.line("abcde", .error))
        queue.add(Self.line("x", .error))
        let told = "1 line was dropped: whoever reads the log does not keep up"
        #expect(Self.texts(&queue) == ["12345678", told, "ab", "abcde", told])
    }

    private static func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 1_000_000_000_000) + .seconds(seconds) }

    @Test("the first lines of a kind are said, the others are counted, once a span")
    func brake() {
        var brake = LogBrake()
        for _ in 0..<5 { #expect(Self.value(brake.admits("a", now: Self.at(0)))) }
        #expect(brake.nextMoment == nil)
        for _ in 0..<812 { #expect(Self.value(brake.admits("a", now: Self.at(1))) == false) }
        #expect(Self.value(brake.admits("b", now: Self.at(1))))
        #expect(brake.nextMoment == Self.at(10))
        #expect(Self.value(brake.take(now: Self.at(9.9))).isEmpty)
        let found = brake.take(now: Self.at(10))
        #expect(found.map(\.text) == ["a … and 812 more in 10 s"])
        // It goes on: nothing but sums, until it was quiet for a span.
        #expect(Self.value(brake.admits("a", now: Self.at(11))) == false)
        #expect(brake.nextMoment == Self.at(20))
        #expect(Self.value(brake.take(now: Self.at(20))).map(\.text) == ["a … and 1 more in 10 s"])
        #expect(brake.nextMoment == nil)
        #expect(Self.value(brake.admits("a", now: Self.at(30))))
    }

    @Test("few failures, far apart, are all said")
    func rare() {
        var brake = LogBrake()
        for round in 0..<100 { #expect(Self.value(brake.admits("a", now: Self.at(Double(round) * 2.5)))) }
        #expect(Self.value(brake.takeAll(now: Self.at(300))).isEmpty)
    }

    @Test("at the end all that was held back is said, and for how long")
    func end() {
        var brake = LogBrake()
        for kind in ["b", "a\nsecond line"] { for _ in 0..<7 { _ = brake.admits(kind, now: Self.at(0)) } }
        #expect(
            Self.value(brake.takeAll(now: Self.at(3))).map(\.text) == [
                "a … and 2 more in 3 s", "b … and 2 more in 3 s",
            ])
        #expect(Self.value(brake.takeAll(now: Self.at(3))).isEmpty)
    }

    @Test("kinds without number count as one, and none is lost uncounted")
    func kinds() {
        var limits = LogBrake.Limits()
        limits.kinds = 3
        var brake = LogBrake(limits)
        var said = 0
        for number in 0..<100 where brake.admits("kind \(number)", now: Self.at(0)) { said += 1 }
        #expect(said == 3 + limits.said)
        let found = brake.take(now: Self.at(10))
        #expect(found.map(\.kind) == [LogBrake.others])
        #expect(said + (found.first?.count ?? 0) == 100)
        // Kinds that have been quiet make room.
        #expect(Self.value(brake.admits("new", now: Self.at(11))))
    }

    private final class Paper: Sendable {
        private let lines = Mutex<[String]>([])
        /// While it is held, whoever writes waits.
        let gate = Mutex(())
        let arrived = Atomic(0)

        func write(_ line: Journal.Line) {
            arrived.add(1, ordering: .relaxed)
            gate.withLock { _ in lines.withLock { $0.append(line.text) } }
        }
        var all: [String] { lines.withLock { $0 } }
    }

    @Test("what was posted before the thread began is written, in order, by the time it is settled")
    func settles() {
        let paper = Paper()
        let log = LogThread(write: paper.write)
        for number in 0..<100 { log.post(Self.line("\(number)")) }
        #expect(paper.all.isEmpty)
        log.settle()
        #expect(paper.all == (0..<100).map { "\($0)" })
        log.post(Self.line("last"))
        log.finish()
        #expect(paper.all.last == "last")
    }

    @Test("a writer that is stuck holds up nobody who posts, and an end for a second in all")
    func stuck() {
        let paper = Paper()
        var limits = LogQueue.Limits()
        limits.lines = 10
        let log = LogThread(limits, write: paper.write)
        paper.gate.withLock { _ in
            log.post(Self.line("first"))
            log.begin()
            while paper.arrived.load(ordering: .relaxed) == 0 {
                _ = Wait.forReadable([], until: .current() + .milliseconds(1))
            }
            let begun = Tick.current()
            for number in 0..<1000 { log.post(Self.line("\(number)")) }
            #expect(Tick.current() - begun < .milliseconds(500))
            log.settle()
            let first = Tick.current()
            #expect(first - begun > .milliseconds(500) && first - begun < .seconds(3))
            // It is known to be stuck.
            log.settle()
            #expect(Tick.current() - first < .milliseconds(500))
        }
        // It was known to be stuck until a line is through.
        let deadline = Tick.current() + .seconds(10)
        while paper.all.count < 12, Tick.current() < deadline { log.settle() }
        let told = "990 lines were dropped: whoever reads the log does not keep up"
        #expect(paper.all == ["first"] + (0..<10).map { "\($0)" } + [told])
    }

    @Test("a failure that repeats is summed up when the process ends")
    func finish() {
        let paper = Paper()
        let log = LogThread(write: paper.write)
        let journal = Journal(level: .error, log: log).named("db", level: .error)
        for client in 0..<9 { journal.error("client \(client) is refused", kind: "refused") }
        for _ in 0..<9 { journal.report("asked") }
        journal.finish()
        let said = (0..<5).map { "db: client \($0) is refused" }
        #expect(paper.all == said + [String](repeating: "db: asked", count: 9) + ["db: refused … and 4 more in 1 s"])
    }
}
