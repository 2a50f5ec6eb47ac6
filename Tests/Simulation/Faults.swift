import CulvertIO

/// How unkind a simulated network is. Each chance is out of 1024, taken whenever the thing could happen.
public struct Faults: Sendable {
    /// A read gives fewer bytes than are there; a write takes fewer than there is room for.
    public var shortRead = 0
    public var shortWrite = 0
    /// A write or a read that would succeed is answered with -EAGAIN; a wait for readiness then completes as ever.
    public var wouldBlock = 0
    /// A wait for readiness completes although nothing is ready. Never while a connection is being made, and only in a
    /// turn in which something else completes, so that a quiet world stays quiet.
    public var spurious = 0
    /// A ready operation is put off to a later turn (its neighbours overtake it), and a peer idles for a step.
    public var delayed = 0
    /// Bytes that a socket had not read yet are lost when a reset reaches it before their stream's end.
    public var lostByReset = 0
    /// Time leaps, by at most `longestJump`.
    public var timeJump = 0
    public var longestJump = Tick.Span.milliseconds(5)

    public init() {}

    /// Everything happens at once and whole; completions still come in a shuffled order.
    public static var none: Faults { Faults() }

    /// Everything goes wrong that may, often.
    public static var all: Faults {
        var faults = Faults()
        faults.shortRead = 400
        faults.shortWrite = 400
        faults.wouldBlock = 60
        faults.spurious = 40
        faults.delayed = 300
        faults.lostByReset = 512
        faults.timeJump = 8
        return faults
    }
}

/// SplitMix64: the same seed gives the same numbers, on every machine.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Whether a chance out of 1024 comes true.
    mutating func happens(_ chance: Int) -> Bool { chance > 0 && Int(next() & 1023) < chance }

    /// From 1 to `limit`, small numbers as likely as large ones; `limit` at least 1.
    mutating func some(upTo limit: Int) -> Int {
        precondition(limit >= 1, "some of nothing is asked for")
        let bits = Int.random(in: 0...(Int.bitWidth - limit.leadingZeroBitCount), using: &self)
        return min(limit, Int.random(in: 1...(1 << min(bits, 40)), using: &self))
    }
}
