internal import CLinux

/// Address space that costs memory only where it is touched, and that no core dump holds.
public enum MappedMemory {
    /// Zeros. Where the process may have no more, it ends here, with one line and status 71: what is asked for is what
    /// it cannot do without.
    public static func reserve(_ count: Int, for purpose: StaticString) -> UnsafeMutableRawPointer {
        guard let memory = unsafe culvert_memory_map(count) else { end(purpose) }
        return unsafe memory
    }

    /// The same bytes, and zeros behind them; where they lie changes.
    public static func grow(
        _ start: UnsafeMutableRawPointer, _ count: Int, to larger: Int, for purpose: StaticString
    ) -> UnsafeMutableRawPointer {
        guard let memory = unsafe culvert_memory_grow(start, count, larger) else { end(purpose) }
        return unsafe memory
    }

    private static func end(_ purpose: StaticString) -> Never {
        unsafe culvert_end_without_memory(UnsafeRawPointer(purpose.utf8Start).assumingMemoryBound(to: CChar.self))
    }

    public static func unreserve(_ start: UnsafeMutableRawPointer, _ count: Int) {
        unsafe culvert_memory_unmap(start, count)
    }

    /// Gives the pages back to the kernel; they read as zero when touched again.
    public static func discard(_ start: UnsafeMutableRawPointer, _ count: Int) {
        unsafe culvert_memory_discard(start, count)
    }
}
