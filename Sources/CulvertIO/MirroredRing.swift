internal import CLinux

/// A ring of received bytes that is mapped twice, one copy behind the other, so that any part of it is contiguous.
///
/// Invariant: `released ≤ received ≤ released + capacity`. The bytes in between are `readable`; the rest is
/// `writable`. Both are one range, whatever the position.
@safe public struct MirroredRing: ~Copyable {
    public let capacity: Int
    private let base: UnsafeMutableRawPointer
    private var received: UInt64 = 0
    private var released: UInt64 = 0

    /// `capacity` is a power of two and a multiple of the page size, in bytes.
    public init(capacity: Int) throws(IOError) {
        precondition(capacity >= 4096 && capacity & (capacity - 1) == 0, "the position is masked with the capacity")
        var memory: UnsafeMutableRawPointer?
        let result = unsafe culvert_mirror_map(capacity, &memory)
        guard result == 0, let memory = unsafe memory else { throw IOError(-result, "mapping a ring twice") }
        self.capacity = capacity
        unsafe base = memory
    }

    deinit { unsafe culvert_mirror_unmap(base, capacity) }

    public var readableCount: Int { Int(received &- released) }
    public var writableCount: Int { capacity - readableCount }

    /// What has been received and not released.
    public var readable: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            start: base + Int(released & UInt64(capacity - 1)), count: readableCount)
    }

    /// Where the next bytes go.
    public var writable: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            start: base + Int(received & UInt64(capacity - 1)), count: writableCount)
    }

    /// `count` bytes stand at the beginning of `writable`.
    public mutating func advance(_ count: Int) {
        precondition(count >= 0 && count <= writableCount, "no more is received than there was room for")
        received &+= UInt64(count)
        assert(invariants())
    }

    /// The first `count` bytes of `readable` are used up.
    public mutating func release(_ count: Int) {
        precondition(count >= 0 && count <= readableCount, "only what was received is released")
        released &+= UInt64(count)
        // An empty ring begins at its start again, where the memory is warm.
        if released == received {
            released = 0
            received = 0
        }
        assert(invariants())
    }

    public func invariants() -> Bool { released <= received && received - released <= UInt64(capacity) }
}
