internal import Glibc
internal import Synchronization

/// A program that is run for what it says: it has nothing of this process's but its environment, and one end of a socket
/// pair. It is found and begun as by execvp(3).
struct LocalProgram {
    /// Or its name, which is looked for through PATH.
    let path: String
    /// Behind the path.
    let arguments: [String]
    let environment: [String: String]
    var input = Input.ours

    enum Input {
        /// This process's.
        case ours
        case nothing
        /// What is written to `Running.output`.
        case conversation
    }

    /// A program under way, to be waited for whatever becomes of it.
    struct Running {
        let process: pid_t
        /// What it writes is read here, and what it may read is written here; the owner closes it.
        let output: CInt
    }

    /// An errno value.
    struct Failure: Error { let code: CInt }

    /// Whom kill(2) ends, for each that is not reaped: the program, or its group. nil: the process ends, and none begins.
    private static let underWay = Mutex<Set<pid_t>?>([])

    /// This process ends: no program that it waits for outlives it.
    static func endAll() {
        underWay.withLock { all in
            for each in all ?? [] { kill(each, SIGKILL) }
            all = nil
        }
    }

    func start() throws(Failure) -> Running {
        var ends: [CInt] = [-1, -1]
        // A socket pair, because both ends are closed-on-exec from the start; pipe2(2) is not to be had here.
        guard unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Failure(code: errno)
        }
        defer { close(ends[1]) }
        do throws(Failure) {
            let begun = Self.underWay.withLock { all -> Result<pid_t, Failure> in
                if all == nil { return .failure(Failure(code: ECANCELED)) }
                do throws(Failure) {
                    let child = try spawn(output: ends[1])
                    all?.insert(input == .ours ? child : -child)
                    return .success(child)
                } catch {
                    return .failure(error)
                }
            }
            return Running(process: try begun.get(), output: ends[0])
        } catch {
            close(ends[0])
            throw error
        }
    }

    private func spawn(output: CInt) throws(Failure) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        switch input {
        case .ours: break
        case .nothing: unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        case .conversation: unsafe posix_spawn_file_actions_adddup2(&actions, output, STDIN_FILENO)
        }
        unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        // The threads here block signals and the process ignores some; the program starts with none of that.
        var none = sigset_t()
        var all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        // One that reads a terminal has to stay in the group that may.
        let group = input == .ours ? 0 : POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(
            &attributes, Int16(Int32(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | Int32(group)))
        var failed = ENOENT
        for place in places {
            var child: pid_t = 0
            var code: CInt = 0
            // What the kernel does not know how to run is the shell's.
            for words in [[place] + arguments, ["/bin/sh", place] + arguments] {
                code = unsafe CStrings.with(words) { list in
                    unsafe CStrings.with(environment.map { "\($0)=\($1)" }) { variables in
                        unsafe posix_spawn(&child, words[0], &actions, &attributes, list, variables)
                    }
                }
                if code != ENOEXEC { break }
            }
            switch code {
            case 0: return child
            // Another directory may have it.
            case ENOENT, ENOTDIR: break
            case EACCES: failed = code
            default: throw Failure(code: code)
            }
        }
        throw Failure(code: failed)
    }

    /// Where it may be.
    private var places: [String] {
        if path.contains("/") { return [path] }
        let directories = environment["PATH"] ?? "/bin:/usr/bin"
        return directories.split(separator: ":", omittingEmptySubsequences: false).map {
            ($0.isEmpty ? "." : String($0)) + "/" + path
        }
    }

    /// The status of wait(2), 0 for a good end; nil: it has not ended by then.
    static func wait(_ child: pid_t, until deadline: Deadline) -> CInt? {
        var status: CInt = 0
        while true {
            // Its number may be another's once it is reaped.
            let (result, code) = underWay.withLock { all in
                let result = unsafe waitpid(child, &status, WNOHANG)
                let code = errno
                if result == child { _ = all?.remove(child) ?? all?.remove(-child) }
                return (result, code)
            }
            if result == child { return status }
            if result < 0, code != EINTR { return -1 }
            if deadline.isOver { return nil }
            if result == 0 { usleep(5_000) }
        }
    }

    static func end(_ child: pid_t) {
        underWay.withLock { all in _ = kill(all?.remove(-child) ?? child, SIGKILL) }
        underWay.withLock { all in _ = all?.remove(child) }
        var status: CInt = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
    }
}

/// The programs that a login waits for: SSH_ASKPASS and KnownHostsCommand.
public enum IdentityPrograms {
    /// The process is about to end: they end before it, and no other begins.
    public static func endAll() { LocalProgram.endAll() }
}

/// A list of C strings that ends with nil, as execve(2) wants it, for the length of a call.
enum CStrings {
    static func with<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = unsafe strings.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }
}
