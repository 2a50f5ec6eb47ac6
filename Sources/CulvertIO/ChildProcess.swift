internal import CLinux
internal import Glibc

/// This program, executed anew as a process of its own, with one end of a line as descriptor 3 and nothing else of ours.
///
/// Invariant: it is started, watched and reaped by one thread, and the kernel ends it when that thread goes, whatever ends
/// it.
public struct ChildProcess: Sendable {
    public typealias Ending = ProxyProcess.Ending

    /// Of its end of the line.
    static let line: Descriptor = 3

    private let number: pid_t

    /// `line` and `errors`, which gets what it says on standard error, stay the caller's.
    public static func start(argument: String, line: Descriptor, errors: Descriptor) throws(IOError) -> ChildProcess {
        guard let path = executable else { throw IOError(ENOENT, "executing culvert anew (without /proc)") }
        let number = unsafe culvert_spawn_anew(path, argument, line, errors)
        guard number > 0 else { throw IOError(-number, "executing culvert anew") }
        return ChildProcess(number: number)
    }

    /// Ends it where it still runs, waits for its end, and reaps it. Once.
    public func end() -> Ending {
        _ = kill(number, SIGKILL)
        let status = culvert_child_reap(number)
        return status >= 0x100 ? .signalled(status & 0xff) : .exited(status)
    }

    /// The same for one that is ending by itself, but not before the deadline: how it ends is its own word then.
    public func end(by deadline: Tick) -> Ending {
        let watch = culvert_child_watch(number)
        if watch >= 0 {
            _ = Wait.forReadable([watch], until: deadline)
            SocketOption.close(watch)
        } else {
            while culvert_child_has_ended(number) == 0, Tick.current() < deadline {
                _ = Wait.forReadable([], until: min(deadline, Tick.current() + .milliseconds(10)))
            }
        }
        return end()
    }

    /// What this process was started from, also where another file has its path by now; where there is no /proc, what its
    /// name leads to.
    private static var executable: String? {
        let own = "/proc/self/exe"
        if unsafe access(own, X_OK) == 0 { return own }
        guard let name = HostProcess.arguments.first, !name.isEmpty else { return nil }
        if name.contains("/") { return unsafe access(name, X_OK) == 0 ? name : nil }
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
        return path.split(separator: ":").map { "\($0)/\(name)" }.first { unsafe access($0, X_OK) == 0 }
    }

    // MARK: In the child

    /// The line to whoever started this process, nil when that was not culvert. The first thing it does: from then on it
    /// ends with its starter, no program of its can have more rights than it has, and nothing of it is dumped.
    public static func begin() -> ProcessLine? {
        guard ProcessLine.isOne(line), culvert_end_with_starter() == 0 else { return nil }
        // The kernel has named it after the link that it was executed by.
        unsafe culvert_name_thread("culvert-libssh2")
        signal(SIGPIPE, SIG_IGN)
        HostProcess.surviveLargeFiles()
        HostProcess.forbidCoreDumps()
        HostProcess.renouncePrivileges()
        _ = fcntl(line, F_SETFD, FD_CLOEXEC)
        return ProcessLine(adopting: line)
    }

    /// The process takes no more address space than this, bytes.
    public static func limitMemory(_ bytes: Int) { _ = culvert_limit_address_space(UInt64(bytes)) }
}

/// A pipe of lines of text: a child's standard error.
public struct ErrorLines: ~Copyable {
    private static let longest = 4096
    public let descriptor: Descriptor
    /// For the child; nil once this process has closed it.
    public private(set) var writing: Descriptor?
    private var lines = Lines(longest: longest)
    private var room = [UInt8](repeating: 0, count: 16 * 1024)

    public init() throws(IOError) {
        var ends: (Int32, Int32) = (-1, -1)
        let made = unsafe withUnsafeMutablePointer(to: &ends) {
            unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe culvert_pipe($0) }
        }
        guard made == 0 else { throw IOError(-made, "pipe") }
        _ = culvert_set_nonblocking(ends.0, 1)
        (descriptor, writing) = ends
    }

    deinit {
        _ = culvert_close(descriptor)
        if let writing { _ = culvert_close(writing) }
    }

    /// The child has it.
    public mutating func closeWriting() {
        if let writing { _ = culvert_close(writing) }
        writing = nil
    }

    /// What has come, a line each; nil at the end. As much as one read holds: one that never stops talking keeps nobody.
    public mutating func take() -> [[UInt8]]? {
        let count = unsafe culvert_read(descriptor, &room, room.count)
        guard count > 0 else { return count == -Int64(EAGAIN) ? [] : nil }
        return lines.add(room[..<Int(count)])
    }
}
