/// Random bytes for the padding of packets (RFC 4253 §6), made in one go and used up one packet after the other. Who seals
/// makes none: `refill` is for when something was sent. Where that is late they are used again, which under an
/// authenticated cipher tells nobody anything.
///
/// Invariant: `longest` bytes from `used` on are there.
@safe struct PaddingBytes: ~Copyable {
    /// Padding of one packet, bytes: as much as its length field can say.
    static let longest = 255
    /// Some fifty packets' padding: below it they are made anew.
    private static let low = 512
    static let count = 1024

    private let memory: UnsafeMutableRawBufferPointer
    private var used = 0
    private var random: RandomSource

    init(_ random: inout RandomSource) {
        self.random = random.split()
        unsafe memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.count, alignment: 8)
        unsafe self.random.fill(memory)
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// Where the next `count` bytes stand, with others behind them; they are used up.
    mutating func take(_ count: Int) -> UnsafeRawPointer {
        precondition(count >= 0 && count <= Self.longest, "a packet's padding has at most 255 bytes")
        if used > Self.count - Self.longest { used = 0 }
        defer { used += count }
        return unsafe UnsafeRawPointer(memory.baseAddress! + used)
    }

    /// Makes new ones where few are left.
    mutating func refill() {
        guard used > Self.count - Self.low else { return }
        unsafe random.fill(memory)
        used = 0
    }
}
