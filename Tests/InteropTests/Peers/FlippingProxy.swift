import Foundation

/// A proxy before an SSH server that records what goes over a connection, or flips one bit of it at a place counted from the
/// connection's first byte.
final class FlippingProxy: @unchecked Sendable {
    typealias Direction = TamperingProxy.Direction

    struct Place: Sendable {
        let direction: Direction
        let offset: Int
    }

    /// One connection.
    final class Passage: @unchecked Sendable {
        private let lock = NSLock()
        private let ends: [TestSocket]
        private var place: Place?
        private let doesRecord: Bool
        private var passed: [Direction: Int] = [:]
        private var recorded: [Direction: [UInt8]] = [:]
        private var flipped = false
        private var over = false

        fileprivate init(_ ends: [TestSocket], _ place: Place?, doesRecord: Bool) {
            self.ends = ends
            self.place = place
            self.doesRecord = doesRecord
        }

        var hasFlipped: Bool { lock.withLock { flipped } }
        /// Either end has ended it.
        var isOver: Bool { lock.withLock { over } }
        func record(_ direction: Direction) -> [UInt8] { lock.withLock { recorded[direction] ?? [] } }

        fileprivate func end() {
            lock.withLock { over = true }
            for each in ends { shutdown(each.descriptor, Int32(SHUT_RDWR)) }
        }

        fileprivate func pass(_ bytes: UnsafeMutableRawBufferPointer, _ direction: Direction) {
            lock.withLock {
                let before = passed[direction, default: 0]
                passed[direction] = before + bytes.count
                if doesRecord { recorded[direction, default: []] += Array(bytes) }
                guard let place, place.direction == direction, bytes.indices.contains(place.offset - before) else {
                    return
                }
                bytes[place.offset - before] ^= 1 << UInt8.random(in: 0..<8)
                self.place = nil
                flipped = true
            }
        }
    }

    let port: UInt16
    private let lock = NSLock()
    private var next: Place?
    private var doesRecord = false
    private var passages: [Passage] = []

    init(on stage: Stage, to server: SSHServer) throws {
        let listener = try Listener(.tcp(0))
        guard case .tcp(let chosen) = listener.address else { throw Failure("the proxy has no port") }
        port = chosen
        stage.atEnd { listener.close() }
        let target = Address.tcpAt(server.host, server.port)
        Thread { [self] in
            while let near = listener.accept() {
                guard let far = try? TestSocket.connect(target) else {
                    near.close()
                    continue
                }
                for each in [near, far] { each.setDeadline(300) }
                let passage = begin([near, far])
                Self.carry(from: near, to: far, .toServer, passage)
                Self.carry(from: far, to: near, .toClient, passage)
            }
        }.start()
    }

    private func begin(_ ends: [TestSocket]) -> Passage {
        lock.withLock {
            let passage = Passage(ends, next, doesRecord: doesRecord)
            next = nil
            passages = passages.filter { !$0.isOver } + [passage]
            return passage
        }
    }

    /// Ends the connections that there are. The next one is carried faithfully but for `flip`, or recorded. Returns it as soon
    /// as it comes.
    func restart(flip: Place? = nil, doesRecord: Bool = false) throws -> Passage {
        let old = lock.withLock {
            next = flip
            self.doesRecord = doesRecord
            defer { passages = [] }
            return passages
        }
        for each in old { each.end() }
        return try eventually("it is connected to", within: 60) { lock.withLock { passages.first } }
    }

    private static func carry(from source: TestSocket, to sink: TestSocket, _ direction: Direction, _ passage: Passage)
    {
        let thread = Thread {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
            defer {
                buffer.deallocate()
                passage.end()
            }
            while case .bytes(let count) = (try? source.receive(into: buffer)) ?? .end {
                let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                passage.pass(bytes, direction)
                guard (try? sink.sendAll(.init(bytes))) != nil else { return }
            }
        }
        thread.stackSize = 256 << 10
        thread.start()
    }
}
