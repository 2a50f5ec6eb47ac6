public import CulvertIO
internal import CulvertSSH

/// How long connections took to stand: counts by length, each octave in eight parts, so that a quantile is within an
/// eighth of the truth, and the sum.
public struct OpeningTimes: Equatable, Sendable {
    /// Nanoseconds: what is shorter is not told apart. Eight parts of it and of each octave above are whole numbers, and
    /// one octave ends at a millisecond.
    private static let shortest: UInt64 = 125_000
    /// Above that: to 65 s.
    static let octaves = 19
    private static let parts = 8
    private static let places = octaves * parts + 2

    /// The first is of what is shorter, the last of what is longer. Empty: nothing is counted yet.
    private var counts: [UInt32] = []
    public private(set) var count: UInt64 = 0
    public private(set) var sum = Tick.Span.zero

    public init() {}

    mutating func add(_ span: Tick.Span) {
        if counts.isEmpty { counts = Array(repeating: 0, count: Self.places) }
        let span = max(.zero, span)
        // One that is full says no more.
        let place = Self.place(of: UInt64(span.nanoseconds))
        if counts[place] < .max { counts[place] += 1 }
        count += 1
        sum.nanoseconds &+= span.nanoseconds
    }

    mutating func add(_ other: OpeningTimes) {
        guard !other.counts.isEmpty else { return }
        if counts.isEmpty { counts = Array(repeating: 0, count: Self.places) }
        for place in counts.indices {
            let (sum, overflow) = counts[place].addingReportingOverflow(other.counts[place])
            counts[place] = overflow ? .max : sum
        }
        count &+= other.count
        sum.nanoseconds &+= other.sum.nanoseconds
    }

    /// The length that this part of all, 0...1, did not exceed; nil: there was none.
    public func quantile(_ part: Double) -> Tick.Span? {
        guard count > 0 else { return nil }
        let wanted = max(1, (part * Double(count)).rounded(.up))
        var seen = 0.0
        for (place, each) in counts.enumerated() {
            seen += Double(each)
            if seen >= wanted { return Self.bound(of: place) }
        }
        return Self.bound(of: Self.places - 1)
    }

    /// How many took no longer than `bound(ofOctave:)`: exact, since octaves begin there.
    public func count(upToOctave octave: Int) -> UInt64 {
        counts.prefix(1 + octave * Self.parts).reduce(0) { $0 + UInt64($1) }
    }

    /// Doubled from octave to octave, 0...19; the third ends at a millisecond.
    public static func bound(ofOctave octave: Int) -> Tick.Span {
        precondition((0...octaves).contains(octave), "an octave that is told apart")
        return Tick.Span(nanoseconds: Int64(shortest << UInt64(octave)))
    }

    /// The first place whose bound is not below.
    private static func place(of nanoseconds: UInt64) -> Int {
        guard nanoseconds > shortest else { return 0 }
        let octave = ((nanoseconds - 1) / shortest).bitWidth - ((nanoseconds - 1) / shortest).leadingZeroBitCount
        guard octave <= octaves else { return places - 1 }
        let base = shortest << UInt64(octave - 1)
        let part = (nanoseconds - base - 1) / (base / UInt64(parts))
        return 1 + (octave - 1) * parts + Int(part)
    }

    private static func bound(of place: Int) -> Tick.Span {
        guard place > 0 else { return bound(ofOctave: 0) }
        guard place < places - 1 else { return bound(ofOctave: octaves) }
        let (octave, part) = (place - 1).quotientAndRemainder(dividingBy: parts)
        let base = bound(ofOctave: octave).nanoseconds
        return Tick.Span(nanoseconds: base + base / Int64(parts) * Int64(part + 1))
    }
}

extension OpeningTimes: Portable {
    func write(to out: inout WireBytes) { out.put(counts, count, sum) }

    init(from reader: inout WireReader) throws(SSHError) {
        counts = try reader.take()
        count = try reader.take()
        sum = try reader.take()
        guard counts.isEmpty || counts.count == Self.places else { throw .unreadable }
    }
}
