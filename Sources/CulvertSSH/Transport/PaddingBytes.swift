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

    private let memory: UnsafeMutableRawPointer
    private var used = 0
    private var random: RandomSource

    init(_ random: inout RandomSource) {
        self.random = random.split()
        unsafe memory = UnsafeMutableRawPointer.allocate(byteCount: Self.count, alignment: 8)
        fill()
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// Where the next `count` bytes stand, at most `longest`, with as many as that behind them; they are used up.
    @inline(__always)
    mutating func take(_ count: Int) -> UnsafeRawPointer {
        let start = used
        used = start &+ count
        if used > Self.count - Self.longest { used = 0 }
        return unsafe UnsafeRawPointer(memory + start)
    }

    /// Makes new ones where few are left.
    mutating func refill() {
        guard used > Self.count - Self.low else { return }
        fill()
        used = 0
    }

    private mutating func fill() {
        unsafe random.fill(UnsafeMutableRawBufferPointer(start: memory, count: Self.count))
    }
}
