import Foundation

/// An endless stream of random bytes that both ends can compute, so that every byte that arrives is compared with
/// the byte that was sent: stronger than a hash, and an error has a position.
///
/// It is cut into segments; segment `i` is a piece of one random pool, at a place that depends on the seed and `i`.
/// So a lost, doubled, moved or altered byte is found, and neither end copies.
struct RandomStream: Sendable {
    private static let segmentBytes = 64 << 10
    private static let poolBytes = 16 << 20
    nonisolated(unsafe) private static let pool: UnsafeMutableRawBufferPointer = {
        let pool = UnsafeMutableRawBufferPointer.allocate(byteCount: poolBytes + segmentBytes, alignment: 64)
        let source = open("/dev/urandom", O_RDONLY | O_CLOEXEC)
        var have = 0
        while have < pool.count { have += max(0, read(source, pool.baseAddress! + have, pool.count - have)) }
        close(source)
        return pool
    }()

    let seed: UInt64

    /// The bytes from `offset` to the end of its segment, at most `limit`.
    func bytes(at offset: Int, limit: Int = .max) -> UnsafeRawBufferPointer {
        let (segment, within) = offset.quotientAndRemainder(dividingBy: Self.segmentBytes)
        var mixed = (seed &+ UInt64(segment)) &* 0x9e37_79b9_7f4a_7c15
        mixed ^= mixed >> 29
        mixed = mixed &* 0xbf58_476d_1ce4_e5b9
        mixed ^= mixed >> 32
        let start = Int(mixed % UInt64(Self.poolBytes)) + within
        return .init(
            rebasing: UnsafeRawBufferPointer(Self.pool)[start..<start + min(limit, Self.segmentBytes - within)])
    }

    /// Sends the stream's first `count` bytes in writes of at most `chunk` bytes, of random sizes when asked to.
    func send(_ count: Int, over socket: TestSocket, chunk: Int = 64 << 10, isRandomlyCut: Bool = false) throws {
        var offset = 0
        while offset < count {
            let limit = min(count - offset, isRandomlyCut ? Int.random(in: 1...chunk) : chunk)
            let piece = bytes(at: offset, limit: limit)
            try socket.sendAll(piece)
            offset += piece.count
        }
    }

    /// Receives and compares until the end or `limit` bytes; returns how many came. A byte that differs is thrown.
    /// `noting` is told after each read how many bytes have come; the next read waits for it.
    func receive(
        upTo limit: Int = .max, over socket: TestSocket, counting counter: Counter? = nil, isResetAllowed: Bool = false,
        noting: ((Int) throws -> Void)? = nil
    ) throws -> Int {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        var offset = 0
        while offset < limit {
            switch try socket.receive(into: .init(rebasing: buffer[..<min(buffer.count, limit - offset)])) {
            case .end: return offset
            case .reset:
                guard isResetAllowed else { throw Failure("reset after \(offset) bytes") }
                return offset
            case .bytes(let count):
                var compared = 0
                while compared < count {
                    let expected = bytes(at: offset, limit: count - compared)
                    guard memcmp(buffer.baseAddress! + compared, expected.baseAddress!, expected.count) == 0 else {
                        let wrong = (0..<expected.count).first { buffer[compared + $0] != expected[$0] } ?? 0
                        throw AlteredByte(offset: offset + wrong)
                    }
                    compared += expected.count
                    offset += expected.count
                }
                counter?.add(count)
                try noting?(offset)
            }
        }
        return offset
    }
}

/// A byte arrived that is not the one that was sent.
struct AlteredByte: Error, CustomStringConvertible {
    let offset: Int
    var description: String { "the byte at \(offset) is not the one that was sent" }
}
