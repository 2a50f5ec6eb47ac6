internal import CLinux

/// Address space that costs memory only where it is touched, and that no core dump holds.
public enum MappedMemory {
    public static func reserve(_ count: Int) -> UnsafeMutableRawPointer {
        guard let memory = unsafe culvert_memory_map(count) else {
            preconditionFailure("no address space for \(count) bytes")
        }
        return unsafe memory
    }

    public static func unreserve(_ start: UnsafeMutableRawPointer, _ count: Int) {
        unsafe culvert_memory_unmap(start, count)
    }

    /// Gives the pages back to the kernel; they read as zero when touched again.
    public static func discard(_ start: UnsafeMutableRawPointer, _ count: Int) {
        unsafe culvert_memory_discard(start, count)
    }
}
