/// What a completion belongs to: an operation, a slot of one of the worker's slabs, and the generation of that slot.
///
/// Invariant: a token is never zero (generations begin at 1), so zero stands for "none" in the drivers' tables. A
/// completion whose generation is not the slot's own is stale and is dropped: nothing in it may be believed.
public struct Token: Hashable, Sendable, BitwiseCopyable {
    public let raw: UInt64

    /// `operation` is the owner's own code, below 64; `generation` as the slab gave it.
    @inlinable public init(operation: UInt8, slot: Int, generation: UInt32) {
        raw = UInt64(operation & 0x3f) << 56 | UInt64(generation & 0xff_ffff) << 32 | UInt64(UInt32(slot))
    }

    @inlinable init(raw: UInt64) { self.raw = raw }

    @inlinable public var operation: UInt8 { UInt8(raw >> 56) }
    @inlinable public var slot: Int { Int(raw & 0xffff_ffff) }
    @inlinable public var generation: UInt32 { UInt32(raw >> 32) & 0xff_ffff }
}
