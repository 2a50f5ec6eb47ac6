internal import Glibc
internal import Synchronization

/// The system's side of `ConfigurationAccess`. Blocking, for the start of the process.
enum SystemFiles {
    /// No configuration file comes near it; a device or an endless pipe does.
    static let maximumLength = 16 << 20

    /// Groups of programs that run beside a process that is under way: they end with it.
    private static let groups = Mutex<Set<pid_t>>([])

    static func endPrograms() { groups.withLock { groups in for group in groups { kill(-group, SIGKILL) } } }

    static func read(_ path: String) -> Result<ConfigurationAccess.File, ConfigurationAccess.Failure> {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(failure(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return .failure(failure(errno)) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(descriptor, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return .failure(failure(errno)) }
            if count == 0 { break }
            bytes += block[..<count]
            if bytes.count > maximumLength { return .failure(.tooLong(limit: maximumLength)) }
        }
        return .success(
            ConfigurationAccess.File(
                bytes: bytes, owner: status.st_uid, mode: status.st_mode & 0o7777,
                isRegular: status.st_mode & S_IFMT == S_IFREG))
    }

    private static func failure(_ code: Int32) -> ConfigurationAccess.Failure {
        switch code {
        case ENOENT: .missing
        case EISDIR: .directory
        default: .unreadable(unsafe String(cString: strerror(code)))
        }
    }

    static func paths(_ pattern: String) -> [String]? {
        var found = unsafe glob_t()
        defer { unsafe globfree(&found) }
        let result = unsafe glob(pattern, 0, nil, &found)
        if result == GLOB_NOMATCH { return [] }
        guard result == 0 else { return nil }
        return unsafe (0..<Int(found.gl_pathc)).compactMap { index in
            unsafe found.gl_pathv[index].map { unsafe String(cString: $0) }
        }
    }

    /// As ssh runs it: `$SHELL -c command`, with nothing to read, what it writes thrown away, and its standard error ours.
    /// After so many seconds it is ended.
    static func execute(_ command: String, shell: String, seconds: Int? = nil) -> Int32? {
        var actions = unsafe posix_spawn_file_actions_t()
        guard unsafe posix_spawn_file_actions_init(&actions) == 0 else { return nil }
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        guard unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0,
            unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0
        else { return nil }
        // The threads here may block signals; the program begins without, and in a group of its own where it may be ended.
        var attributes = posix_spawnattr_t()
        var none = sigset_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        let group = seconds == nil ? 0 : POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(Int32(POSIX_SPAWN_SETSIGMASK) | Int32(group)))
        var child: pid_t = 0
        let words = unsafe [strdup(shell), strdup("-c"), strdup(command), nil]
        defer { unsafe words.indices.forEach { unsafe free(words[$0]) } }
        guard unsafe posix_spawn(&child, shell, &actions, &attributes, words, environ) == 0 else { return nil }
        let started = child
        if seconds != nil { groups.withLock { _ = $0.insert(started) } }
        defer { if seconds != nil { groups.withLock { _ = $0.remove(started) } } }
        var status: Int32 = 0
        var left = seconds.map { $0 * 100 }
        while true {
            let ended = unsafe waitpid(child, &status, left == nil ? 0 : WNOHANG)
            if ended == child { break }
            guard ended == 0 || errno == EINTR else { return nil }
            guard let tries = left else { continue }
            if tries == 0 { kill(-child, SIGKILL) }
            left = tries == 0 ? nil : tries - 1
            usleep(10_000)
        }
        // wait(2)'s macros: the low seven bits are the signal that ended it, the next byte is the exit status.
        return status & 0x7f == 0 ? (status >> 8) & 0xff : nil
    }
}
