internal import Glibc

/// A password, a passphrase or a private key in memory of its own.
///
/// Invariant: the bytes stand in pages that are locked, left out of core dumps and of child processes, and wiped
/// when the last reference goes. Never print it: its description says nothing of its content.
@safe public final class Secret: @unchecked Sendable, CustomStringConvertible {
    // Unchecked: the bytes are written while it is made alone, before the reference can be shared.
    private let base: UnsafeMutableRawPointer
    private let mapped: Int
    public let count: Int

    /// Room for `capacity` bytes; `body` fills it from the front and says how many bytes count.
    init<Failure: Error>(
        capacity: Int, filling body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        let (memory, length) = unsafe Self.map(capacity)
        do throws(Failure) {
            count = try unsafe body(UnsafeMutableRawBufferPointer(start: memory, count: capacity))
        } catch {
            unsafe Self.unmap(memory, length)
            throw error
        }
        precondition(count >= 0 && count <= capacity, "a secret ends within its memory")
        unsafe base = memory
        mapped = length
    }

    private static func map(_ count: Int) -> (UnsafeMutableRawPointer, Int) {
        let page = 4096
        let length = max(page, (count + page - 1) / page * page)
        let memory = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
            preconditionFailure("no memory for a secret of \(count) bytes")
        }
        // Locking can be refused by RLIMIT_MEMLOCK; the other three protections hold all the same.
        _ = unsafe mlock(memory, length)
        _ = unsafe madvise(memory, length, MADV_DONTDUMP)
        _ = unsafe madvise(memory, length, MADV_WIPEONFORK)
        return unsafe (memory, length)
    }

    private static func unmap(_ memory: UnsafeMutableRawPointer, _ length: Int) {
        unsafe explicit_bzero(memory, length)
        _ = unsafe munmap(memory, length)
    }

    /// Copies the bytes and leaves the caller's own copy to the caller: pass a buffer that is wiped next.
    public convenience init(copying bytes: UnsafeRawBufferPointer) {
        unsafe self.init(capacity: bytes.count) { memory in
            unsafe memory.copyMemory(from: bytes)
            return bytes.count
        }
    }

    /// Takes the bytes over: the array is overwritten with zeros.
    public convenience init(wiping bytes: inout [UInt8]) {
        unsafe self.init(capacity: bytes.count) { memory in
            unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe memory.copyMemory(from: UnsafeRawBufferPointer(buffer))
                if let start = buffer.baseAddress { unsafe explicit_bzero(start, buffer.count) }
            }
            return memory.count
        }
    }

    deinit {
        unsafe Self.unmap(base, mapped)
    }

    /// Lends the bytes for the length of the call.
    public func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(UnsafeRawBufferPointer(start: base, count: count))
    }

    public var description: String { "Secret(…)" }
}
