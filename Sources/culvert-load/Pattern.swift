/// The payload of one direction of one connection: a stream of 64-bit words that can be made, and checked, from any
/// offset on.
///
/// Word `i` is `key + i × golden`, folded once. Both steps are one-to-one, so no word comes twice in 2^64 words: a
/// piece that is lost, doubled or moved by whole words differs in its very first word, and by a part of a word in its
/// first bytes. Made of additions, shifts and exclusive ors alone, so that it runs at the speed of a copy.
struct Pattern: Equatable, Sendable, BitwiseCopyable {
    enum Direction: UInt64 {
        case up = 1
        case down = 2
    }

    private static let golden: UInt64 = 0x9E37_79B9_7F4A_7C15
    private let key: UInt64

    /// `connection` and `direction` choose places in the sequence that are far apart with all probability.
    init(seed: UInt64, connection: UInt32, direction: Direction) {
        key = Self.mixed(Self.mixed(seed) &+ (UInt64(connection) << 8 | direction.rawValue))
    }

    /// Every bit of the result depends on every bit of `value` (a multiplying finaliser; not on the path of bytes).
    static func mixed(_ value: UInt64) -> UInt64 {
        var word = value &+ golden
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    /// The eight bytes at offset `8 * index`, least significant first.
    func word(_ index: UInt64) -> UInt64 {
        let word = key &+ index &* Self.golden
        return word ^ word >> 32
    }

    func byte(at offset: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: word(offset >> 3) >> ((offset & 7) << 3))
    }

    /// Writes the stream's bytes `offset ..< offset + count`.
    @inline(never)
    func fill(_ start: UnsafeMutableRawPointer, count: Int, at offset: UInt64) {
        let head = Self.headLength(offset, count)
        for index in 0..<head {
            unsafe start.storeBytes(of: byte(at: offset &+ UInt64(index)), toByteOffset: index, as: UInt8.self)
        }
        let words = (count - head) >> 3
        let body = unsafe start + head
        var linear = key &+ ((offset &+ UInt64(head)) >> 3) &* Self.golden
        for index in 0..<words {
            unsafe body.storeBytes(of: linear ^ linear >> 32, toByteOffset: index &* 8, as: UInt64.self)
            linear = linear &+ Self.golden
        }
        for index in (head + words * 8)..<count {
            unsafe start.storeBytes(of: byte(at: offset &+ UInt64(index)), toByteOffset: index, as: UInt8.self)
        }
    }

    /// The index of the first byte that is not the stream's, where the bytes should be `offset ..< offset + count`.
    @inline(never)
    func firstDifference(_ start: UnsafeRawPointer, count: Int, at offset: UInt64) -> Int? {
        let head = Self.headLength(offset, count)
        if let found = unsafe differenceByByte(start, 0..<head, offset) { return found }
        var done = head
        while count - done >= 8 {
            // A run is compared without a branch a word, and looked into only when something in it differs.
            let words = min(512, (count - done) >> 3)
            let body = unsafe start + done
            var linear = key &+ ((offset &+ UInt64(done)) >> 3) &* Self.golden
            var difference: UInt64 = 0
            for index in 0..<words {
                let found = unsafe body.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self)
                difference |= found ^ (linear ^ linear >> 32)
                linear = linear &+ Self.golden
            }
            if difference != 0 { return unsafe differenceByByte(start, done..<(done + words * 8), offset) }
            done += words * 8
        }
        return unsafe differenceByByte(start, done..<count, offset)
    }

    private func differenceByByte(_ start: UnsafeRawPointer, _ range: Range<Int>, _ offset: UInt64) -> Int? {
        for index in range
        where unsafe start.load(fromByteOffset: index, as: UInt8.self) != byte(at: offset &+ UInt64(index)) {
            return index
        }
        return nil
    }

    /// Bytes up to the stream's next whole word.
    private static func headLength(_ offset: UInt64, _ count: Int) -> Int { min(count, Int((8 &- (offset & 7)) & 7)) }
}
