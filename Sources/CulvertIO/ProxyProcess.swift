internal import CLinux
internal import Glibc

/// A program that carries a connection (ProxyCommand): one end of a socket pair is its standard input and output, the
/// other end is the connection. Or one that is run beside a tunnel (LocalCommand), which has nothing to read. The user's shell
/// starts it, in a session and process group of its own.
///
/// Invariant: a thread of its own starts it, hands on what it says on standard error, and reaps it, always. The kernel
/// ends it when that thread goes, so it does not outlive this process, however that one ends. Nothing else that this
/// process has open is open in it.
public final class ProxyProcess: Sendable {
    public enum Ending: Sendable, Hashable {
        case exited(Int32)
        case signalled(Int32)
    }

    private let life: Life

    private init(_ life: Life) { self.life = life }

    /// With the last reference the program goes.
    deinit { life.end() }

    /// Starts `shell -c command`. Returns when it runs; a shell that cannot be executed throws.
    ///
    /// - Parameter said: takes what the program says on standard error, a line each, on the program's thread.
    public static func start(
        shell: String, command: String, said: @escaping @Sendable (_ line: [UInt8]) -> Void
    ) throws(IOError) -> (process: ProxyProcess, stream: Descriptor) {
        let (stream, theirs) = try SocketOption.pair()
        // The other end is an ordinary one to programs that do not expect to be told to try again.
        _ = culvert_set_nonblocking(theirs, 0)
        let life: Life
        do throws(IOError) {
            life = try Life(leavesOthers: false, said: said)
            try Thread.start(name: "culvert-proxy") { life.run(shell, command, theirs, theirs) }
        } catch {
            SocketOption.close(theirs)
            SocketOption.close(stream)
            throw error
        }
        do throws(IOError) { try life.waitUntilItRuns() } catch {
            SocketOption.close(stream)
            throw error
        }
        return (ProxyProcess(life), stream)
    }

    /// The same for a program that carries nothing: it reads nothing, and its standard output is this process's. What it
    /// leaves behind it in the background lives on.
    public static func startBeside(
        shell: String, command: String, said: @escaping @Sendable (_ line: [UInt8]) -> Void
    ) throws(IOError) -> ProxyProcess {
        let life = try Life(leavesOthers: true, said: said)
        let nothing = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard nothing >= 0 else { throw IOError(errno, "open of /dev/null") }
        guard let output = SocketOption.duplicate(STDOUT_FILENO) else {
            SocketOption.close(nothing)
            throw IOError(errno, "standard output")
        }
        do throws(IOError) {
            try Thread.start(name: "culvert-local") { life.run(shell, command, nothing, output) }
        } catch {
            SocketOption.close(nothing)
            SocketOption.close(output)
            throw error
        }
        try life.waitUntilItRuns()
        return ProxyProcess(life)
    }

    /// How it ended, nil while it runs; waits for the end until the deadline.
    public func ending(by deadline: Tick) -> Ending? {
        // Nobody takes the message: the descriptor stays readable.
        _ = Wait.forReadable([life.finished.descriptor], until: deadline)
        return life.ending
    }

    /// Asks it to end: SIGHUP to its group, then SIGTERM, then SIGKILL.
    public func end() { life.end() }

    /// The process ends: every program goes before it, one that ignores signals too. Waits for them, at most for three
    /// times `patience`.
    public static func endAll(patience: Tick.Span = .milliseconds(300)) {
        for signals in [[SIGHUP], [SIGTERM, SIGCONT], [SIGKILL]] {
            let areGone = Life.groups.withLock { groups in
                for group in groups { for signal in signals { _ = kill(-group, signal) } }
                return groups.isEmpty
            }
            if areGone { return }
            let deadline = Tick.current() + patience
            Life.groups.wait { groups -> Monitor<Set<pid_t>>.Step<Void> in
                groups.isEmpty || Tick.current() >= deadline ? .done(()) : .again(by: deadline)
            }
        }
    }
}

/// The program's time with its thread.
private final class Life: Sendable {
    /// After SIGHUP it may take so long to say goodbye, and as long again after SIGTERM.
    private static var patience: Tick.Span { .seconds(1) }
    /// How often a child is looked at where the kernel does not tell its end.
    private static var lookInterval: Tick.Span { .milliseconds(50) }
    /// A longer line is handed on in pieces of this length.
    private static var longestLine: Int { 4096 }

    /// Those of all programs that run: a group is in it from its start until it is reaped, and is signalled by who holds
    /// it alone.
    static let groups = Monitor<Set<pid_t>>([])

    private struct State {
        var group: pid_t?
        var ending: ProxyProcess.Ending?
    }

    private let state = Guarded(State())
    private let said: @Sendable ([UInt8]) -> Void
    /// Others of its group may stay when it has ended.
    private let leavesOthers: Bool
    /// Zero, or why it could not be started.
    let started: Mailbox<Int32>
    let finished: Mailbox<Void>
    private let asked: Mailbox<Void>

    init(leavesOthers: Bool, said: @escaping @Sendable ([UInt8]) -> Void) throws(IOError) {
        self.leavesOthers = leavesOthers
        self.said = said
        started = try Mailbox()
        finished = try Mailbox()
        asked = try Mailbox()
    }

    func waitUntilItRuns() throws(IOError) {
        _ = Wait.forReadable([started.descriptor], until: nil)
        if let failure = started.takeAll().first, failure != 0 { throw IOError(failure, "exec") }
    }

    var ending: ProxyProcess.Ending? { state.withLock { $0.ending } }

    func end() {
        signal(SIGHUP)
        asked.post(())
    }

    private func signal(_ number: Int32) {
        let group = state.withLock { $0.group }
        Self.groups.withLock { groups in
            if let group, groups.contains(group) { _ = kill(-group, number) }
        }
    }

    // MARK: On its thread

    /// Closes both descriptors, which may be one.
    func run(_ shell: String, _ command: String, _ input: Descriptor, _ output: Descriptor) {
        func closeStreams() {
            SocketOption.close(input)
            if output != input { SocketOption.close(output) }
        }
        var pipe: (Int32, Int32) = (-1, -1)
        let made = unsafe withUnsafeMutablePointer(to: &pipe) {
            unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe culvert_pipe($0) }
        }
        guard made == 0 else {
            closeStreams()
            return started.post(-made)
        }
        defer { SocketOption.close(pipe.0) }
        _ = culvert_set_nonblocking(pipe.0, 1)
        let child = unsafe culvert_spawn_shell(shell, command, input, output, pipe.1)
        closeStreams()
        SocketOption.close(pipe.1)
        guard child > 0 else { return started.post(-child) }
        state.withLock { $0.group = child }
        Self.groups.withLock { _ = $0.insert(child) }
        started.post(0)
        watch(child, errors: pipe.0)
    }

    private func watch(_ child: pid_t, errors: Descriptor) {
        let end = culvert_child_watch(child)
        defer { if end >= 0 { SocketOption.close(end) } }
        var lines = Lines(longest: Self.longestLine)
        var speaks = true
        var isAsked = false
        var harder: [(at: Tick, signal: Int32)] = []
        while culvert_child_has_ended(child) == 0 {
            var awaited: [Descriptor] = []
            if speaks { awaited.append(errors) }
            if !isAsked { awaited.append(asked.descriptor) }
            if end >= 0 { awaited.append(end) }
            var until = harder.first?.at
            if end < 0 { until = min(until ?? .distantFuture, Tick.current() + Self.lookInterval) }
            let ready = Wait.forReadable(awaited, until: until)
            if ready.contains(errors) { speaks = read(errors, &lines) }
            if ready.contains(asked.descriptor) {
                isAsked = true
                let now = Tick.current()
                harder = [(now + Self.patience, SIGTERM), (now + Self.patience + Self.patience, SIGKILL)]
            }
            if let next = harder.first, next.at <= Tick.current() {
                signal(next.signal)
                harder.removeFirst()
            }
        }
        // Whatever it has started and left goes with it.
        if !leavesOthers { signal(SIGTERM) }
        if speaks { _ = read(errors, &lines) }
        lines.takeRest().map(said)
        let status = Self.groups.withLock { groups in
            groups.remove(child)
            return culvert_child_reap(child)
        }
        state.withLock { $0.ending = status >= 0x100 ? .signalled(status & 0xff) : .exited(status) }
        finished.post(())
    }

    /// False at the end of what it says. As much as the pipe holds: one that never stops talking may not keep the
    /// thread from its other duties.
    private func read(_ errors: Descriptor, _ lines: inout Lines) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = unsafe culvert_read(errors, &bytes, bytes.count)
        guard count > 0 else { return count == -Int64(EAGAIN) }
        for line in lines.add(bytes[..<Int(count)]) { said(line) }
        return true
    }
}

/// Bytes become lines, without their ends and without empty ones.
struct Lines {
    let longest: Int
    private var rest: [UInt8] = []

    init(longest: Int) { self.longest = longest }

    mutating func add(_ bytes: ArraySlice<UInt8>) -> [[UInt8]] {
        var complete: [[UInt8]] = []
        for byte in bytes {
            let isEnd = byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
            if !isEnd { rest.append(byte) }
            if isEnd || rest.count == longest, let line = takeRest() { complete.append(line) }
        }
        return complete
    }

    /// What came after the last line, nil when nothing did.
    mutating func takeRest() -> [UInt8]? {
        defer { rest = [] }
        return rest.isEmpty ? nil : rest
    }
}
