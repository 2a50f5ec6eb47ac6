/// Payload of one direction of one flow that its socket would not take: a chain of blocks in a `SpillPool`, first in,
/// first out. Trivial: the pool owns the memory.
struct Spill: BitwiseCopyable {
    /// Bytes of payload.
    var count = 0
    /// Bytes of the blocks that they lie in.
    var held = 0
    var head: Int32 = -1
    var tail: Int32 = -1
    var headOffset: Int32 = 0
    var tailFill: Int32 = 0

    var isEmpty: Bool { count == 0 }
}
