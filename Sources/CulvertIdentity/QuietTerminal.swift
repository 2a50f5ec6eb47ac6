internal import Glibc
internal import Synchronization

/// The terminal that shows nothing of what is typed, and the way back. One at a time in a process.
///
/// The saved state lies in memory of its own at a fixed address, because a signal handler needs it: there no lock, no
/// allocation and no reference count is allowed, only tcsetattr(3), sigaction(2) and kill(2).
enum QuietTerminal {
    private static let lock = Mutex(())
    nonisolated(unsafe) private static let saved = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    nonisolated(unsafe) private static let quiet = UnsafeMutablePointer<termios>.allocate(capacity: 1)
    /// The descriptor while the terminal is quiet, -1 otherwise. Written after the states above.
    private static let active = Atomic<CInt>(-1)
    private static let atExit: Void = {
        _ = atexit { QuietTerminal.restore() }
    }()
    private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP]
    private static let replaced = Mutex<[CInt]>([])

    /// false: not a terminal, or one is quiet already.
    static func begin(_ descriptor: CInt) -> Bool {
        lock.withLock { _ in
            guard active.load(ordering: .acquiring) < 0, unsafe tcgetattr(descriptor, saved) == 0 else { return false }
            _ = atExit
            unsafe quiet.pointee = saved.pointee
            unsafe quiet.pointee.c_lflag &= ~tcflag_t(ECHO | ECHONL)
            active.store(descriptor, ordering: .releasing)
            catchSignals()
            // What was typed before the question is not the answer to it.
            guard unsafe tcsetattr(descriptor, TCSAFLUSH, quiet) == 0 else {
                finish()
                return false
            }
            return true
        }
    }

    static func end() {
        lock.withLock { _ in finish() }
    }

    private static func finish() {
        restore()
        active.store(-1, ordering: .releasing)
        releaseSignals()
    }

    /// Safe in a signal handler and at exit; nothing happens when no terminal is quiet.
    static func restore() {
        let descriptor = active.load(ordering: .acquiring)
        if descriptor >= 0 { _ = unsafe tcsetattr(descriptor, TCSANOW, saved) }
    }

    /// Only signals with their default action: who handles one has a way out of their own, through `exit`.
    private static func catchSignals() {
        var taken: [CInt] = []
        for signal in signals {
            var old = sigaction()
            guard unsafe sigaction(signal, nil, &old) == 0, isDefault(old) else { continue }
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = onSignal
            if unsafe sigaction(signal, &action, nil) == 0 { taken.append(signal) }
        }
        replaced.withLock { $0 = taken }
    }

    private static func releaseSignals() {
        let taken = replaced.withLock { signals in
            defer { signals = [] }
            return signals
        }
        for signal in taken {
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = SIG_DFL
            _ = unsafe sigaction(signal, &action, nil)
        }
    }

    private static func isDefault(_ action: sigaction) -> Bool {
        unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0
    }

    private static let onSignal: @convention(c) (CInt) -> Void = { signal in
        let code = errno
        QuietTerminal.restore()
        if signal == SIGTSTP {
            // Stopped here, with the terminal as it was; quiet again when the process goes on.
            kill(getpid(), SIGSTOP)
            QuietTerminal.quietAgain()
        } else {
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = SIG_DFL
            _ = unsafe sigaction(signal, &action, nil)
            kill(getpid(), signal)
        }
        errno = code
    }

    private static func quietAgain() {
        let descriptor = active.load(ordering: .acquiring)
        if descriptor >= 0 { _ = unsafe tcsetattr(descriptor, TCSANOW, quiet) }
    }
}
