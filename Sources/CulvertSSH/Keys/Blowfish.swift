internal import Glibc

/// Blowfish (Schneier, 1993) with the expensive key schedule of bcrypt (Provos and Mazières, 1999).
///
/// Invariant: 18 subkeys, then four boxes of 256 words, in memory of its own, wiped when it goes.
@safe struct Blowfish: ~Copyable {
    private static let subkeys = 18
    private let words: UnsafeMutablePointer<UInt32>

    init() {
        unsafe words = UnsafeMutablePointer.allocate(capacity: PiDigits.count)
        unsafe words.initialize(from: PiDigits.words, count: PiDigits.count)
    }

    deinit {
        unsafe explicit_bzero(words, PiDigits.count * MemoryLayout<UInt32>.size)
        unsafe words.deallocate()
    }

    /// Starts over: what stands in the state is π again.
    mutating func reset() {
        unsafe words.update(from: PiDigits.words, count: PiDigits.count)
    }

    @inline(__always)
    private func feistel(_ value: UInt32) -> UInt32 {
        let boxes = unsafe words + Self.subkeys
        let a = unsafe boxes[Int(value &>> 24)]
        let b = unsafe boxes[256 &+ Int(value &>> 16 & 0xff)]
        let c = unsafe boxes[512 &+ Int(value &>> 8 & 0xff)]
        let d = unsafe boxes[768 &+ Int(value & 0xff)]
        return ((a &+ b) ^ c) &+ d
    }

    /// One block of 64 bits.
    @inline(__always)
    func encrypt(_ left: inout UInt32, _ right: inout UInt32) {
        var x = unsafe left ^ words[0]
        var y = right
        var round = 1
        while round < 17 {
            unsafe y ^= feistel(x) ^ words[round]
            unsafe x ^= feistel(y) ^ words[round &+ 1]
            round &+= 2
        }
        left = unsafe y ^ words[17]
        right = x
    }

    /// Mixes a key and a salt into the state. Both hold 16 words.
    mutating func expand(key: borrowing Words, salt: borrowing Words) {
        mix(key)
        refill { index in salt[index] }
    }

    /// Mixes a key into the state.
    mutating func expand(key: borrowing Words) {
        mix(key)
        refill { _ in 0 }
    }

    private mutating func mix(_ key: borrowing Words) {
        for index in 0..<Self.subkeys { unsafe words[index] ^= key[index] }
    }

    /// Every word of the state is replaced by what the cipher makes of the words before it and the salt.
    @inline(__always)
    private mutating func refill(_ salt: (Int) -> UInt32) {
        var left: UInt32 = 0
        var right: UInt32 = 0
        var index = 0
        while index < PiDigits.count {
            left ^= salt(index)
            right ^= salt(index &+ 1)
            encrypt(&left, &right)
            unsafe words[index] = left
            unsafe words[index &+ 1] = right
            index &+= 2
        }
    }

    /// 64 bytes as sixteen big-endian words, read round and round; wiped when they go.
    @safe struct Words: ~Copyable {
        static let byteCount = 64
        private let words: UnsafeMutablePointer<UInt32>

        /// `fill` writes the 64 bytes.
        init(_ fill: (UnsafeMutableRawBufferPointer) -> Void) {
            unsafe words = UnsafeMutablePointer.allocate(capacity: 16)
            unsafe words.initialize(repeating: 0, count: 16)
            unsafe fill(UnsafeMutableRawBufferPointer(start: words, count: Self.byteCount))
            for index in 0..<16 { unsafe words[index] = UInt32(bigEndian: words[index]) }
        }

        deinit {
            unsafe explicit_bzero(words, Self.byteCount)
            unsafe words.deallocate()
        }

        subscript(_ index: Int) -> UInt32 { unsafe words[index & 15] }
    }
}
