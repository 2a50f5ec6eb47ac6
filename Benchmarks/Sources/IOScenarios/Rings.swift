internal import CulvertIO
internal import Scenario

/// Packets of 1500 bytes come into a mirrored ring and leave it in gathering sends of sixteen, across its end.
private struct RingRound: ~Copyable, Round {
    private static let packet = 1500
    private var ring: MirroredRing
    private var ranges = RangeList()

    init() throws { ring = try MirroredRing(capacity: 1 << 20) }

    mutating func run() {
        var sum = 0
        for _ in 0..<64 {
            for _ in 0..<RangeList.capacity {
                guard ring.writable.count >= Self.packet, let start = ring.writable.baseAddress else {
                    giveUp("a ring has no room")
                }
                start.storeBytes(of: 1, as: UInt8.self)
                ring.advance(Self.packet)
            }
            let readable = ring.readable
            guard let start = readable.baseAddress, readable.count == RangeList.capacity * Self.packet else {
                giveUp("a ring lost bytes")
            }
            for index in 0..<RangeList.capacity { ranges.append(start + index * Self.packet, Self.packet) }
            sum += ranges.totalLength
            ranges.removeAll()
            ring.release(readable.count)
        }
        guard sum == 64 * RangeList.capacity * Self.packet else { giveUp("a range list lost bytes") }
    }
}

let rings = [Scenario("ring-1024") { try RingRound() }]
