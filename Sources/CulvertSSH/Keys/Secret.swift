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

    private init(count: Int) {
        self.count = count
        let page = 4096
        mapped = max(page, (count + page - 1) / page * page)
        let memory = unsafe mmap(nil, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
            preconditionFailure("no memory for a secret of \(count) bytes")
        }
        unsafe base = memory
        // Locking can be refused by RLIMIT_MEMLOCK; the other three protections hold all the same.
        _ = unsafe mlock(base, mapped)
        _ = unsafe madvise(base, mapped, MADV_DONTDUMP)
        _ = unsafe madvise(base, mapped, MADV_WIPEONFORK)
    }

    /// Copies the bytes and leaves the caller's own copy to the caller: pass a buffer that is wiped next.
    public convenience init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        if let source = bytes.baseAddress { unsafe base.copyMemory(from: source, byteCount: bytes.count) }
    }

    /// Takes the bytes over: the array is overwritten with zeros.
    public convenience init(wiping bytes: inout [UInt8]) {
        self.init(count: bytes.count)
        unsafe bytes.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return }
            unsafe base.copyMemory(from: start, byteCount: buffer.count)
            unsafe explicit_bzero(start, buffer.count)
        }
    }

    deinit {
        unsafe explicit_bzero(base, mapped)
        _ = unsafe munmap(base, mapped)
    }

    /// Lends the bytes for the length of the call.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try unsafe body(UnsafeRawBufferPointer(start: base, count: count))
    }

    public var description: String { "Secret(…)" }
}
