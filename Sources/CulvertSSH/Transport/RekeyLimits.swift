/// How much one key may protect before keys are exchanged again, and before the link ends (RFC 4253 §9, RFC 4344 §3).
public struct RekeyLimits: Sendable, Hashable, BitwiseCopyable {
    /// An exchange begins at this many bytes or packets, in either direction. 32 GiB: half of the 2^32 blocks of 16 bytes
    /// that RFC 4344 §3.2 allows a cipher with blocks of 128 bits.
    public var bytes: UInt64 = 32 << 30
    var packets: UInt64 = 1 << 30

    /// One key protects no more than this (60 GiB, 2^31 packets), however long the peer takes to answer.
    static let hardBytes: UInt64 = 60 << 30
    static let hardPackets: UInt64 = 1 << 31

    public init() {}

    func isDue(_ use: KeyUse) -> Bool { use.bytes >= bytes || use.packets >= packets }

    func isOver(_ use: KeyUse) -> Bool { use.bytes >= Self.hardBytes || use.packets >= Self.hardPackets }
}
