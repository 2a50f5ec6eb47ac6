import Foundation
import Testing

/// A reader that stops must not stop the others, nor fill the memory.
@Suite(.serialized) struct StallTests {
    /// `--memory`, in bytes, beside what the program itself takes.
    static let memoryCeiling = 256 << 20

    @Test(
        "one reader of eight stops: the other seven keep their rate, memory stays within the ceiling",
        arguments: Scale.choose(
            full: Driver.choices.flatMap { [(ForwardKind.direct, $0), (.reverse, $0)] },
            small: [(ForwardKind.direct, Driver.choices[0]), (.reverse, Driver.choices.last!)]))
    func oneOfEightStops(_ kind: ForwardKind, _ driver: Driver) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let forward = try kind.start(on: stage, to: target.address, options: driver.arguments)
            let flows = try (0..<8).map { _ in try Flow(through: forward.address, arrivals: arrivals) }
            let counters = flows.map { _ in Counter() }
            // Downwards from the subject's link to its sockets: the direction in which it would have to keep what a
            // reader does not take. For -R that end is `far`, the target on this side.
            let ends = flows.map { kind == .direct ? (source: $0.far, sink: $0.near) : (source: $0.near, sink: $0.far) }
            let stop = Stop()
            var running: [Running] = []
            for (index, end) in ends.enumerated() {
                running.append(Running { try? RandomStream(seed: UInt64(index)).send(.max, over: end.source) })
                running.append(
                    Running {
                        var position = 0
                        let stream = RandomStream(seed: UInt64(index))
                        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
                        defer { buffer.deallocate() }
                        while !stop.isEnding {
                            if index == 0 && stop.isStalled {
                                usleep(1000)
                                continue
                            }
                            guard case .bytes(let count) = try end.sink.receive(into: buffer) else { return }
                            var checked = 0
                            while checked < count {
                                let expected = stream.bytes(at: position, limit: count - checked)
                                guard memcmp(buffer.baseAddress! + checked, expected.baseAddress!, expected.count) == 0
                                else { throw AlteredByte(offset: position) }
                                checked += expected.count
                                position += expected.count
                            }
                            counters[index].add(count)
                        }
                    })
            }
            try waitUntil("every flow moves") { counters.allSatisfy { $0.value > 1 << 20 } }
            let rateBefore = try Self.rate(counters, over: 3)
            stop.isStalled = true
            var largest = 0
            let start = counters.dropFirst().reduce(0) { $0 + $1.value }
            let began = monotonicSeconds()
            try during(Scale.stallSeconds, "the tunnel runs") {
                largest = max(largest, ProcFS.residentBytes(forward.process.pid))
                return forward.process.isRunning
            }
            let rateDuring =
                Double(counters.dropFirst().reduce(0) { $0 + $1.value } - start) / (monotonicSeconds() - began)
            let stalledAt = counters[0].value
            stop.isStalled = false
            try waitUntil("the stalled flow moves again") { counters[0].value > stalledAt + (1 << 20) }
            stop.isEnding = true
            for flow in flows { flow.near.endWriting() }
            for flow in flows {
                shutdown(flow.near.descriptor, Int32(SHUT_RDWR))
                shutdown(flow.far.descriptor, Int32(SHUT_RDWR))
            }
            for each in running { try each.join(within: 30) }
            print(
                "stall, \(kind), \(driver): \(Int(rateBefore / 1e6)) MB/s before, \(Int(rateDuring / 1e6)) MB/s "
                    + "during, \(largest >> 20) MiB resident at most")
            // What a machine gives from second to second differs by a fifth.
            #expect(rateDuring >= 0.5 * rateBefore, "seven of eight flows: \(rateBefore) before, \(rateDuring) during")
            #expect(largest <= Self.memoryCeiling + (64 << 20))
        }
    }

    /// Bytes a second of all flows but the first.
    private static func rate(_ counters: [Counter], over seconds: Double) throws -> Double {
        let start = counters.dropFirst().reduce(0) { $0 + $1.value }
        let began = monotonicSeconds()
        try during(seconds, "measuring")
        return Double(counters.dropFirst().reduce(0) { $0 + $1.value } - start) / (monotonicSeconds() - began)
    }
}

/// What the readers of the stall test are told.
private final class Stop: @unchecked Sendable {
    private let lock = NSLock()
    private var stalled = false
    private var ending = false

    var isStalled: Bool {
        get { lock.withLock { stalled } }
        set { lock.withLock { stalled = newValue } }
    }
    var isEnding: Bool {
        get { lock.withLock { ending } }
        set { lock.withLock { ending = newValue } }
    }
}
