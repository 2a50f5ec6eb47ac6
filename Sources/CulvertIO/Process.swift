internal import CLinux
internal import Glibc

/// What concerns the process as a whole.
public enum HostProcess {
    /// Raises the soft limit of open files to the hard one, at most to 2^20: where the limit is none at all, tables
    /// sized by it would be too. Returns the limit.
    public static func raiseDescriptorLimit() -> Int { max(64, Int(culvert_raise_descriptor_limit())) }

    /// A file that becomes larger than it may (ulimit -f, LimitFSIZE) is an error of that write, and not the end of the
    /// process.
    public static func surviveLargeFiles() { signal(SIGXFSZ, SIG_IGN) }

    /// SIGUSR1 asks how things are: one that comes before anybody can answer waits, and does not end the process. One that
    /// whoever started it has it ignore stays ignored.
    public static func deferQuestions() {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGUSR1)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Started with standard input, output or error closed, a process would be given their numbers for what it opens, and
    /// read or write there what is meant for them. The first thing it does.
    public static func fillStandardDescriptors() { _ = culvert_fill_standard_descriptors() }

    /// Where the address space is limited (ulimit -v), it is used sparingly. Before any thread exists.
    public static func spareAddressSpace() { culvert_spare_address_space() }

    /// No core dump of this process: keys and payload stand in its memory.
    public static func forbidCoreDumps() { _ = culvert_forbid_core_dumps() }

    /// No program that this process executes from now on can have more rights than it has: set-user-ID is without effect.
    /// Before any thread exists.
    public static func renouncePrivileges() { _ = culvert_no_new_privileges() }

    /// What the process was started with, its name first; also where there is no /proc.
    public static var arguments: [String] {
        var all: [String] = []
        while let next = unsafe culvert_argument(Int32(all.count)) { unsafe all.append(String(cString: next)) }
        return all
    }

    public static var identifier: Int { Int(getpid()) }

    /// The first process of a container: whoever loses his parent there becomes a child of it.
    public static var isInit: Bool { getpid() == 1 }

    /// Reaps children that nobody here has started, and that have ended. On the first thread, which inherits them and waits
    /// for no child of its own; those of other threads are left to these.
    public static func reapOrphans() { _ = culvert_reap_orphans() }

    /// Whoever started this process may have ignored the ends of children; then nobody could wait for one.
    public static func heedChildren() { signal(SIGCHLD, SIG_DFL) }
}

/// Signals as a descriptor that can be waited for. Made before any thread, so that every thread has them blocked.
/// Those that the process was started to ignore (nohup, a shell's `&`) stay ignored.
public struct SignalSource: Sendable {
    public let descriptor: Descriptor

    public init(_ signals: [Int32]) throws(IOError) {
        let made = unsafe culvert_signals_open(signals, Int32(signals.count))
        guard made >= 0 else { throw IOError(-made, "signalfd") }
        descriptor = made
    }

    /// The next signal that has come, nil when none waits. SIGCHLD, where it is asked for, is no order to anybody: orphans
    /// are reaped, and the next one is looked at.
    public func next() -> Int32? {
        while true {
            let signal = culvert_signals_read(descriptor)
            guard signal == SIGCHLD else { return signal > 0 ? signal : nil }
            HostProcess.reapOrphans()
        }
    }
}

/// The kernel's news of links, addresses and routes: a path may be back.
public struct NetworkChanges: Sendable {
    public let descriptor: Descriptor

    /// nil where the kernel does not tell (a container without netlink).
    public init?() {
        let made = culvert_network_changes_open()
        guard made >= 0 else { return nil }
        descriptor = made
    }

    /// How many of the news since the last call can mean that a path is back.
    public func drain() -> Int { Int(culvert_network_changes_drain(descriptor)) }
}

/// Waits for a few descriptors, on the control thread. Not for the data path.
public enum Wait {
    /// The descriptors that are readable; empty at the deadline. `orWritable`, one of them, ends the wait too when it is
    /// writable.
    public static func forReadable(
        _ descriptors: [Descriptor], orWritable: Descriptor? = nil, until deadline: Tick?
    ) -> [Descriptor] {
        wait(descriptors, CULVERT_IN, orWritable: orWritable, until: deadline)
    }

    /// Those of `reading` that are readable, and those of `writing` that are writable; a descriptor that has failed is
    /// both. Those of `ending` whose other end has gone altogether. Nothing at the deadline.
    public static func forEither(
        reading: [Descriptor], writing: [Descriptor], ending: [Descriptor] = [], until deadline: Tick?
    ) -> [Descriptor] {
        var interests =
            reading.map { culvert_interest(descriptor: $0, events: CULVERT_IN, ready: 0) }
            + writing.map { culvert_interest(descriptor: $0, events: CULVERT_OUT, ready: 0) }
            + ending.map { culvert_interest(descriptor: $0, events: 0, ready: 0) }
        return wait(&interests, until: deadline)
    }

    /// The descriptors that are writable, or whose connection is made or has failed; empty at the deadline.
    public static func forWritable(_ descriptors: [Descriptor], until deadline: Tick?) -> [Descriptor] {
        wait(descriptors, CULVERT_OUT, until: deadline)
    }

    private static func wait(
        _ descriptors: [Descriptor], _ events: UInt32, orWritable: Descriptor? = nil, until deadline: Tick?
    ) -> [Descriptor] {
        var interests = descriptors.map {
            culvert_interest(descriptor: $0, events: $0 == orWritable ? events | CULVERT_OUT : events, ready: 0)
        }
        return wait(&interests, until: deadline)
    }

    private static func wait(_ interests: inout [culvert_interest], until deadline: Tick?) -> [Descriptor] {
        var wait: Int64 = -1
        if let deadline { wait = max(0, (deadline - Tick.current()).nanoseconds) }
        let count = unsafe culvert_wait_many(&interests, Int32(interests.count), wait)
        guard count > 0 else { return [] }
        return interests.filter { $0.ready != 0 }.map(\.descriptor)
    }
}
