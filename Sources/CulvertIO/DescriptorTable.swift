/// What a driver knows of each descriptor: the operations under way on it. Indexed by the descriptor's number.
///
/// Invariant: an entry whose tokens are zero has no operation under way. The generation grows at each close, so that
/// an event of a closed descriptor is not taken for one of its successor with the same number.
@safe struct DescriptorTable: ~Copyable {
    struct Entry: BitwiseCopyable {
        /// The reading operation's token, 0 when none is under way.
        var reader: UInt64 = 0
        /// The writing operation's token, 0 when none is under way.
        var writer: UInt64 = 0
        var generation: UInt32 = 0
        /// epoll: the events that are registered. io_uring: not used.
        var mask: UInt32 = 0
        /// io_uring: where the reading and the writing request stand in the submission queue.
        var readPosition: UInt32 = 0
        var writePosition: UInt32 = 0
        /// io_uring: what a receive took that had been stopped meanwhile: bytes or -errno, 0 for nothing; the bytes lie
        /// in the provided buffer `keptNumber`, from `keptOffset`. The next read takes it.
        var keptResult: Int32 = 0
        var keptNumber: UInt16 = 0
        var keptOffset: UInt16 = 0
        /// io_uring: how often waiting for readiness was stopped; tells a late answer from the present one.
        var pollSequence: UInt8 = 0
        /// The reading operation is a `receive`, not an `awaitReadable`.
        var receives = false
        /// io_uring: the last receives were full, so the next one reads into a large slot.
        var isHot = false
        /// io_uring: a receive into a provided buffer is under way, wanted or stopped.
        var receiveInFlight = false
    }

    private let entries: UnsafeMutablePointer<Entry>
    let capacity: Int

    /// Memory is only touched where descriptors are used.
    init(capacity: Int) {
        self.capacity = capacity
        // Reserved memory is zero, and an entry of zeros is the empty entry.
        unsafe entries = MappedMemory.reserve(capacity * MemoryLayout<Entry>.stride, for: "the table of descriptors")
            .bindMemory(to: Entry.self, capacity: capacity)
    }

    deinit { unsafe MappedMemory.unreserve(entries, capacity * MemoryLayout<Entry>.stride) }

    subscript(descriptor: Descriptor) -> Entry {
        unsafeAddress {
            precondition(descriptor >= 0 && descriptor < capacity, "the table covers every descriptor of the process")
            return unsafe UnsafePointer(entries + Int(descriptor))
        }
        unsafeMutableAddress {
            precondition(descriptor >= 0 && descriptor < capacity, "the table covers every descriptor of the process")
            return unsafe entries + Int(descriptor)
        }
    }
}
