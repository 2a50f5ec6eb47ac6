import CulvertIO
import Glibc
import Simulation
import Testing

/// One driver with a world around it, and the loop that a worker would run.
final class Bench {
    let kind: Kind
    let driver: TestDriver
    let world: any World

    static let descriptorLimit = 20_000

    init(_ kind: Kind, seed: UInt64 = 1) throws {
        self.kind = kind
        switch kind {
        case .uring:
            driver = try Boxed(UringDriver(descriptorLimit: Self.descriptorLimit))
            world = KernelWorld()
        case .epoll:
            driver = try Boxed(EpollDriver(descriptorLimit: Self.descriptorLimit))
            world = KernelWorld()
        case .simulated, .simulatedWithFaults:
            let simulated = SimulatedWorld(seed: seed, kind == .simulated ? .none : .all)
            driver = Boxed(SimulatedDriver(simulated.network))
            world = simulated
        }
    }

    func token(_ slot: Int, operation: UInt8 = 1, generation: UInt32 = 1) -> Token {
        Token(operation: operation, slot: slot, generation: generation)
    }

    /// One turn of at most a millisecond.
    func turn(_ handle: (Completion) throws -> Void) throws {
        world.pump()
        try driver.turn(until: driver.now + .milliseconds(1))
        while let completion = driver.next() { try handle(completion) }
        world.pump()
    }

    /// Turns until `done`, at most for half a minute.
    func turns(
        _ what: String, until done: () -> Bool, _ handle: (Completion) throws -> Void = { _ in },
        idle: () throws -> Void = {}
    ) throws {
        let limit = Tick.current() + .seconds(30)
        while !done() {
            guard Tick.current() < limit else { throw Missed("\(kind): never came: \(what)") }
            try turn(handle)
            try idle()
        }
    }

    /// The next completion.
    func one(_ what: String) throws -> Completion {
        var found: [Completion] = []
        try turns(what, until: { !found.isEmpty }, { found.append($0) })
        #expect(found.count == 1, "\(what): one completion alone")
        return found[0]
    }

    /// A few turns in which nothing may complete.
    func expectQuiet(_ what: String) throws {
        for _ in 0..<5 { try turn { Issue.record("\(self.kind): \(what): unexpected \($0)") } }
    }

    /// The bytes of a completion, whose slot is given back.
    func take(_ completion: Completion) -> [UInt8] {
        guard completion.result > 0 else { return [] }
        let bytes = [UInt8](UnsafeRawBufferPointer(start: completion.slot.start!, count: completion.result))
        driver.release(completion.slot)
        return bytes
    }

    /// Reads now: bytes, or nil for -EAGAIN. An error is an empty list and told in `result`.
    func readNow(_ descriptor: Descriptor, limit: Int = 4096) -> (result: Int, bytes: [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: limit)
        let result = buffer.withUnsafeMutableBytes {
            driver.receive(
                descriptor, into: $0.baseAddress!, stride: limit, slotLength: limit, lastLength: limit, count: 1)
        }
        return (result, Array(buffer[..<max(0, result)]))
    }

    /// Sends everything, waiting for room in between.
    func sendAll(_ descriptor: Descriptor, _ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let result = bytes.withUnsafeBytes {
                driver.send(descriptor, UnsafeRawBufferPointer(rebasing: $0[sent...]))
            }
            if result > 0 {
                sent += result
                continue
            }
            guard result == -Int(EAGAIN) else { throw Missed("send: \(result)") }
            driver.awaitWritable(descriptor, token(6))
            _ = try one("room")
        }
    }

    /// Receives again and again until `count` bytes or the end or an error came.
    func collect(_ descriptor: Descriptor, _ count: Int) throws -> (bytes: [UInt8], last: Int) {
        var bytes: [UInt8] = []
        var last = 1
        driver.receive(descriptor, token(7))
        try turns(
            "\(count) bytes", until: { bytes.count >= count || last <= 0 },
            {
                last = $0.result
                bytes += take($0)
                if bytes.count < count && last > 0 { driver.receive(descriptor, token(7)) }
            })
        return (bytes, last)
    }
}

/// Bytes that tell their place and their stream.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 31 &+ $0 >> 8) &+ seed &* 97) }
}

/// The open sockets and rings of this process. Not every descriptor: the runtime's own threads open epoll, timer and
/// event descriptors when they please.
func openDescriptorCount() -> Int {
    var target = [CChar](repeating: 0, count: 64)
    return (0..<Int32(Bench.descriptorLimit)).reduce(0) { count, number in
        let length = readlink("/proc/self/fd/\(number)", &target, target.count - 1)
        guard length > 0 else { return count }
        let name = String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.hasPrefix("socket:") || name == "anon_inode:[io_uring]" ? count + 1 : count
    }
}
